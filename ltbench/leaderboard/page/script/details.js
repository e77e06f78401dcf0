// A row opens to everything that is known of it, below itself.
function part(title, ...content) {
  return make('section', {}, make('h3', {}, title), ...content);
}

// The full name, a sentence for each stage, and the paper that it is from.
function aboutOf(row) {
  const stages = row.stages.map(({title, methods, settings}, place) =>
    make(
      'li',
      {},
      ...methods.map(([name, about, paper, link]) =>
        make(
          'p',
          {},
          make('b', {}, name),
          about ? `: ${about}. ` : '. ',
          paper && link ? make('a', {href: link, rel: 'noopener'}, paper) : paper,
        ),
      ),
      make(
        'details',
        {},
        make('summary', {}, `Stage ${place + 1}: ${title}`),
        make('ul', {}, ...(settings.length ? settings : ['no hyperparameters']).map((text) => make('li', {}, text))),
      ),
    ),
  );
  return part('What it is', make('ol', {className: 'stages'}, ...stages));
}

function commandOf(row) {
  if (!row.command) return part('Run it', make('p', {}, `${NOTHING} No named protocol and no command alone make this row.`));
  // Lines break between words only: within an option they would read as two.
  const code = make('code', {}, ...row.command.split(' ').flatMap((word) => [make('span', {}, word), ' ']));
  const copy = make('button', {type: 'button', className: 'copy'}, 'Copy');
  copy.addEventListener('click', async () => {
    getSelection().selectAllChildren(code); // what is left where the browser keeps the clipboard shut
    try {
      await navigator.clipboard.writeText(row.command);
      copy.textContent = 'Copied';
    } catch {
      copy.textContent = 'Selected';
    }
  });
  return part('Run it', make('pre', {tabIndex: 0}, code), copy);
}

function figuresOf(row, table) {
  const body = table.columns.map(([key, label, decimals]) => {
    const ends = endsOf(row, key);
    const none = row.count < FEWEST_SEEDS ? 'no interval' : NOTHING;
    return [label, write(figure(row, key), decimals), ends ? ends.map((end) => write(end, decimals)).join(' to ') : none];
  });
  return part('Figures', makeTable('Mean over runs and 95 % interval', ['figure', 'mean', 'interval'], body));
}

function runsOf(row) {
  const several = new Set(row.runs.map((run) => run[0])).size > 1;
  const body = row.runs.map(([split, seed, ...figures]) => [
    `${seed}${several ? ` of split ${split}` : ''}`,
    ...figures.map((value) => write(value)),
  ]);
  const about = row.runs.length < FEWEST_SEEDS ? [make('p', {}, `${counted(row.runs.length, 'seed')}: no interval.`)] : [];
  return part('Runs', makeTable('Accuracy in percent of each completed run', ['seed', ...SPLITS], body), ...about);
}

function shiftsOf(row) {
  const body = Object.entries(row.shifts).map(([name, value]) => [name.replace('.', ', '), write(value)]);
  return body.length
    ? [
        make(
          'details',
          {},
          make('summary', {}, 'Label shift'),
          makeTable('Accuracy in percent on shifted test sets', ['test set', 'accuracy'], body),
        ),
      ]
    : [];
}

function costsOf(row) {
  const body = [
    ...Object.entries(row.seconds).map(([phase, value]) => [phase, `${write(value)} s`]),
    ...Object.entries(row.memory).map(([place, value]) => [`peak memory, ${place}`, `${write(value, 0)} MiB`]),
  ];
  return make(
    'details',
    {},
    make('summary', {}, 'Cost by phase'),
    makeTable('Seconds are means over runs, memory is the most of any run', ['phase', 'cost'], body),
  );
}

function printedOf(row) {
  if (!row.printed.length) return [];
  return [
    part(
      'Beside the print',
      make(
        'ul',
        {className: 'beside'},
        ...row.printed.map(([paper, name, reported, difference, verdict, because]) =>
          make(
            'li',
            {},
            `${paper}, “${name}”: ${reported}${difference ? `, ours ${difference}` : ''}. `,
            make('b', {}, verdict),
            because ? `: ${because}` : '',
          ),
        ),
      ),
    ),
  ];
}

function madeOf(row) {
  const entries = [
    ['commit', row.made.commits],
    ['ltbench', row.made.ltbench],
    ['plugins', row.made.plugins],
    ['device', row.made.devices],
    ['selection', row.made.selection],
    ['tuning', row.made.tuning],
  ];
  return make(
    'details',
    {},
    make('summary', {}, 'Made by'),
    make(
      'dl',
      {},
      ...entries.flatMap(([name, values]) => [make('dt', {}, name), make('dd', {}, values.join(', ') || NOTHING)]),
    ),
  );
}

function standingOf(row, table) {
  if (row.rank === null) return `Not ${row.ranked ? 'compared' : 'ranked'}${row.why ? `: ${row.why}` : ''}.`;
  const place = `Rank ${row.rank} of ${table.rows.filter((other) => other.rank !== null).length}`;
  if (row.standing === 'not-compared') return `${place} by its mean alone: not compared${row.why ? `, ${row.why}` : ''}.`;
  const [low, high] = row.ranks || [row.rank, row.rank];
  const compared = row.standing === 'best' ? 'cannot be told from the best' : 'is worse than the best';
  return `${place}; the data allow ranks ${low} to ${high}, and it ${compared}.`;
}

function closeRow() {
  if (state.opened === null) return;
  const element = container().querySelector(`tr[data-row="${state.opened}"]`);
  element.querySelector('th button').setAttribute('aria-expanded', 'false');
  container().querySelector('tr.opened').remove();
  state.opened = null;
}

function openRow(place, scroll = false) {
  const before = state.opened;
  closeRow();
  if (before !== place) {
    const table = current();
    const row = table.rows[place];
    const element = container().querySelector(`tr[data-row="${place}"]`);
    const panel = make(
      'tr',
      {className: 'opened', id: 'opened'},
      make(
        'td',
        {colSpan: element.cells.length},
        make(
          'div',
          {className: 'panel'},
          make(
            'header',
            {},
            make('h2', {}, row.method),
            make('p', {}, `${standingOf(row, table)}${row.notes ? ` ${row.notes}.` : ''}`),
          ),
          make(
            'div',
            {className: 'parts'},
            make('div', {}, aboutOf(row), commandOf(row), ...printedOf(row)),
            make('div', {}, figuresOf(row, table)),
            make('div', {}, runsOf(row), ...shiftsOf(row), costsOf(row), madeOf(row)),
          ),
        ),
      ),
    );
    element.after(panel);
    element.querySelector('th button').setAttribute('aria-expanded', 'true');
    state.opened = place;
    if (scroll) element.scrollIntoView({block: 'start'});
  }
}
