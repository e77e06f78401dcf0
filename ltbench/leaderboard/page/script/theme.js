// Paper is white, whatever the screen is.
const paper = matchMedia('print');
function applyTheme() {
  const theme = paper.matches ? 'light' : document.getElementById('theme').value;
  if (theme === 'auto') document.documentElement.removeAttribute('data-theme');
  else document.documentElement.dataset.theme = theme;
}
for (const element of document.querySelectorAll('.needs-script')) element.hidden = false;
document.getElementById('theme').addEventListener('change', applyTheme);
paper.addEventListener('change', applyTheme);
