// What reacts to what.
function drawPicked() {
  for (const figureOf of [drawShots, drawCurve, drawFates, drawCalibration, drawTraining, drawCost, drawMatrix]) figureOf();
}

// Typing must not wait for figures.
let waiting = null;
function filterSoon() {
  filterRows();
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    drawShots();
    drawCost();
    drawMatrix();
    writeAddress();
  }, 150);
}

for (const box of results) {
  box.addEventListener('click', sortOnClick);
  box.addEventListener('click', (event) => {
    const row = event.target.closest('tbody tr[data-row]');
    if (!row) return;
    const button = event.target.closest('button');
    if (button && button.closest('td.pick')) pick(Number(row.dataset.row));
    else if (button || (narrow.matches && !event.target.closest('a'))) {
      openRow(Number(row.dataset.row));
      writeAddress();
    }
  });
  const first = box.querySelector('th[data-key="rank"]');
  if (first) first.setAttribute('aria-sort', 'ascending');
}
byId('terms').addEventListener('change', () => {
  showTable(Number(byId('terms').value));
  paintPicks();
  drawPicked();
  writeAddress();
});
byId('sets').addEventListener('click', (event) => {
  const set = event.target.closest('button');
  if (!set) return;
  showColumns(set.value);
  byId('sets').querySelector('[aria-pressed="true"]').focus();
  writeAddress();
});
byId('filter').addEventListener('input', filterSoon);
byId('several').addEventListener('change', filterSoon);
byId('cost-of').addEventListener('change', drawCost);
byId('training-of').addEventListener('change', drawTraining);
byId('wins-of').addEventListener('change', drawMatrix);
byId('save-csv').addEventListener('click', saveTable);
// A point of the first figure picks its row; whoever has no mouse picks it in the table.
for (const id of ['shots', 'cost']) {
  byId(id).addEventListener('click', (event) => {
    const point = event.target.closest('[data-place]');
    if (point) pick(Number(point.dataset.place));
  });
}
for (const button of document.querySelectorAll('.tops .go')) {
  button.addEventListener('click', () => {
    const place = current().rows.findIndex((row) => row.method === button.dataset.method);
    if (state.opened !== place) openRow(place, true);
    writeAddress();
  });
}
document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape' || state.opened === null) return;
  const button = container().querySelector(`tr[data-row="${state.opened}"] th button`);
  closeRow();
  button.focus();
  writeAddress();
});
window.addEventListener('hashchange', () => {
  followAddress();
  drawPicked();
});
let drawnAt = innerWidth;
addEventListener('resize', () => {
  if (innerWidth === drawnAt) return; // a phone's address bar comes and goes
  drawnAt = innerWidth;
  drawPicked();
});
fillTerms();
offerFigures();
followAddress();
drawPicked();
