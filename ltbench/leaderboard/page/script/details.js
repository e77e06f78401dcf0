// Everything that is known of one row, in a dialog.
function section(title, ...content) {
  const wrapped = content.map((child) => (child.tagName === 'TABLE' ? make('div', {className: 'scroll'}, child) : child));
  return make('section', {}, make('h3', {}, title), ...wrapped);
}

function commandOf(row) {
  if (!row.command) {
    return section('Reproduce', make('p', {}, `${NOTHING} No named protocol and no command alone make this row.`));
  }
  // Lines break between words only: within an option they would read as two.
  const code = make('code', {}, ...row.command.split(' ').flatMap((word) => [make('span', {}, word), ' ']));
  const copy = make('button', {type: 'button', className: 'secondary outline copy'}, 'Copy');
  copy.addEventListener('click', async () => {
    getSelection().selectAllChildren(code); // what is left where the browser keeps the clipboard shut
    try {
      await navigator.clipboard.writeText(row.command);
      copy.textContent = 'Copied';
    } catch {
      copy.textContent = 'Selected';
    }
  });
  return section('Reproduce', make('pre', {tabIndex: 0}, code), copy);
}

function runsOf(row) {
  const body = row.runs.map(([split, seed, ...figures]) => [`seed ${seed}, split seed ${split}`, ...figures.map((value) => write(value, 2))]);
  const about = row.runs.length < 3 ? [make('p', {}, `${counted(row.runs.length, 'seed')}: no interval.`)] : [];
  return section('Runs', makeTable('Accuracy in percent of each completed run', ['run', ...SPLITS], body), ...about);
}

function figuresOf(row, table) {
  const body = table.columns.map(([key, label, decimals]) => {
    const [mean, low, high] = row.values[key] || [null, null, null];
    return [label, write(mean, decimals), low === null ? (row.count < 3 ? 'no interval' : NOTHING)
      : `${write(low, decimals)} to ${write(high, decimals)}`];
  });
  return section('Figures', makeTable('Mean over runs and 95 % interval', ['figure', 'mean', 'interval'], body));
}

function shiftsOf(row) {
  const body = Object.entries(row.shifts).map(([name, value]) => [name.replace('.', ', '), write(value)]);
  return body.length ? [section('Label shift', makeTable('Accuracy in percent on shifted test sets', ['test set', 'accuracy'], body))] : [];
}

function costsOf(row) {
  const body = [...Object.entries(row.seconds).map(([phase, value]) => [phase, `${write(value)} s`]),
    ...Object.entries(row.memory).map(([place, value]) => [`peak memory, ${place}`, `${write(value, 0)} MiB`])];
  return section('Cost', makeTable('Seconds are means over runs, memory is the most of any run', ['phase', 'cost'], body));
}

function stagesOf(row) {
  return section('Stages', ...row.stages.map(([title, ...settings], place) => make('details', {open: row.stages.length === 1},
    make('summary', {}, `${place + 1}: ${title}`),
    make('ul', {}, ...(settings.length ? settings : ['no hyperparameters']).map((text) => make('li', {}, text))))));
}

function printedOf(row) {
  if (!row.printed.length) return [];
  return [section('Beside the print', makeTable('Accuracy over all classes, as papers print it',
    ['paper', 'row', 'reported', 'difference', 'verdict', 'because'], row.printed.map((cells) => cells.map((cell) => cell || NOTHING)),
    [1, 4, 5]))];
}

function madeOf(row) {
  const entries = [['commit', row.made.commits], ['ltbench', row.made.ltbench], ['plugins', row.made.plugins], ['device', row.made.devices],
    ['selection', row.made.selection], ['tuning', row.made.tuning]];
  return section('Made by', make('dl', {}, ...entries.flatMap(([name, values]) => [make('dt', {}, name),
    make('dd', {}, values.join(', ') || NOTHING)])));
}

function openDetails(place) {
  const table = current();
  const row = table.rows[place];
  const rank = row.rank === null ? 'Not ranked' : `Rank ${row.rank} of ${table.rows.length}`;
  byId('details-title').textContent = row.method;
  byId('details-body').replaceChildren(make('p', {}, `${rank}: ${table.heading}.${row.notes ? ` ${row.notes}.` : ''}`),
    commandOf(row), figuresOf(row, table), runsOf(row), ...printedOf(row), ...shiftsOf(row), costsOf(row), stagesOf(row), madeOf(row));
  byId('details').showModal(); // keeps the focus inside, and gives it back to the row's button
  byId('details').querySelector('article').scrollTop = 0;
}
