// What reacts to what.
function drawFigures() {
  drawCurve();
  drawShots();
  drawCost();
  drawMatrix();
}

function switchTo(number) {
  showTable(number);
  fillSwitches();
  state.compared = contrasting(current());
  fillCurveMethods();
  drawFigures();
}

// Typing must not wait for figures.
let waiting = null;
function filterSoon() {
  filterRows();
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    fillCurveMethods();
    drawShots();
    drawCost();
    drawMatrix();
  }, 150);
}

// Paper is white, whatever the screen is.
const paper = matchMedia('print');
function applyTheme() {
  const theme = paper.matches ? 'light' : byId('theme').value;
  if (theme === 'auto') document.documentElement.removeAttribute('data-theme');
  else document.documentElement.dataset.theme = theme;
  drawFigures();
}

for (const element of document.querySelectorAll('.needs-script')) element.hidden = false;
for (const container of results) {
  container.addEventListener('click', sortOnClick);
  container.addEventListener('click', (event) => {
    const row = event.target.closest('tbody tr');
    if (row && event.target.closest('button')) openDetails(Number(row.dataset.row));
  });
  const first = container.querySelector('th[data-key="rank"]');
  if (first) first.setAttribute('aria-sort', 'ascending');
}
for (const name of ['dataset', 'track', 'terms']) byId(name).addEventListener('change', () => switchTo(tableOfSwitches(name)));
byId('filter').addEventListener('input', filterSoon);
byId('several').addEventListener('change', filterSoon);
byId('curve-methods').addEventListener('change', chooseCurve);
byId('cost-of').addEventListener('change', drawCost);
byId('wins-of').addEventListener('change', drawMatrix);
byId('theme').addEventListener('change', applyTheme);
byId('details-close').addEventListener('click', () => byId('details').close());
byId('details').addEventListener('click', (event) => { if (event.target === byId('details')) byId('details').close(); });
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', applyTheme);
paper.addEventListener('change', applyTheme);
switchTo(0);
