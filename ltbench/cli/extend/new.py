def register(actions): pass
