// Three figures of lines, one line a picked row: classes by their training images, confidence, and training.
const seriesOf = (rows, more = () => '') =>
  rows.map((row) => ({name: short(row.method) + more(row), mark: `s${chosen().indexOf(row) + 1}`}));

function addLine(plot, points, mark, kind = 'line') {
  if (points.length) plot.svg.append(draw('path', {class: `${kind} ${mark}`, d: path(points)}));
}

// A class has few test images, so that its own accuracy jumps: the line is a mean over neighbors where there are many classes.
const reach = (places) => (places >= 40 ? 4 : 0);

function smooth(points, window) {
  return points.map((point, place) => {
    const near = points.slice(Math.max(0, place - window), place + window + 1);
    return [Math.exp(mean(near.map((other) => Math.log(other[0])))), mean(near.map((other) => other[1]))];
  });
}

function drawCurve() {
  const images = current().images || [];
  const rows = chosen().filter((row) => row.curve);
  const known = images.filter((count) => count > 0);
  if (!known.length || !rows.length) {
    byId('curve-about').textContent = images.length ? 'No row is picked.' : 'No run of this table completed.';
    empty('curve', NOTHING);
    return;
  }
  const window = reach(images.length);
  const grouped = images.some((count) => !Number.isInteger(count)) ? ' Neighboring classes share a place.' : '';
  byId('curve-about').textContent =
    `Each point is a class${grouped ? ' or group of classes' : ''}: its accuracy, mean over runs.${grouped}` +
    (window ? ' Lines are means over nine neighboring points.' : '');
  const names = current().names || [];
  const points = rows.map((row) => images.map((x, place) => [x, row.curve[place], names[place] || '']).filter(([x, y]) => x > 0 && y !== null));
  const plot = frame('curve', {
    series: seriesOf(rows),
    label: `Accuracy of each class against its training images, ${rows.map((row) => row.method).join(', ')}`,
    x: {title: 'training images of the class', log: true, min: Math.min(...known), max: Math.max(...known)},
    y: {title: 'accuracy, %', ...limits(points.flat().map((point) => point[1]), {least: 0, most: 100, far: 0})},
    head: 16,
  });
  drawGroups(plot);
  const at = ([x, y]) => [plot.across.at(x), plot.up.at(y)];
  rows.forEach((row, place) => {
    const mark = `s${chosen().indexOf(row) + 1}`;
    for (const point of points[place]) {
      const [x, y] = at(point);
      const dot = draw(
        'g',
        {class: `dot ${window ? 'faint ' : ''}${mark}`},
        shape(mark, x, y, window ? 2 : 4),
        draw('title', {}, `${point[2] ? `${point[2]}, ` : ''}${row.method}: ${write(point[1])} % at ${write(point[0], 0)} images`),
      );
      plot.svg.append(dot);
    }
  });
  rows.forEach((row, place) => addLine(plot, smooth(points[place], window).map(at), `s${chosen().indexOf(row) + 1}`));
  asTable('curve', tabulateCurve(rows, images));
}

// Few, medium and many part where the table says; their names stand above the figure, clear of its lines.
function drawGroups(plot) {
  const [many, few] = current().splits;
  const bounds = [plot.left, plot.across.at(few), plot.across.at(many), plot.right];
  ['few', 'medium', 'many'].forEach((name, place) => {
    const [from, to] = bounds.slice(place, place + 2);
    if (to - from > 44)
      plot.svg.append(draw('text', {class: 'group', x: (from + to) / 2, y: plot.top - 6, 'text-anchor': 'middle'}, name));
    if (place && from > plot.left && from < plot.right)
      plot.svg.append(draw('line', {class: 'bound', x1: from, x2: from, y1: plot.top, y2: plot.bottom}));
  });
}

// Ten bins of neighboring places are enough to hear the shape of a curve.
function tabulateCurve(rows, images) {
  const bins = Math.min(10, images.length);
  const body = Array.from({length: bins}, (_, bin) => {
    const [start, end] = [bin, bin + 1].map((edge) => Math.floor((edge * images.length) / bins));
    const [most, least] = [write(images[start], 0), write(images[end - 1], 0)];
    const cells = rows.map((row) => {
      const known = row.curve.slice(start, end).filter((value) => value !== null);
      return known.length ? write(mean(known)) : NOTHING;
    });
    return [most === least ? most : `${most} to ${least}`, ...cells];
  });
  return makeTable(
    'Mean accuracy in percent of classes by their training images',
    ['training images', ...rows.map((row) => row.method)],
    body,
  );
}

function drawCalibration() {
  const rows = chosen().filter((row) => row.calibration);
  byId('calibration-about').textContent =
    'Accuracy of test images by the confidence of their prediction. On the dashed line confidence is true; ' +
    'below it the row believes too much, above it too little. Larger points hold more images.';
  if (!rows.length) {
    empty('calibration', 'No picked row has predictions to draw this from.');
    return;
  }
  const plot = frame('calibration', {
    series: seriesOf(rows, (row) => (figure(row, 'ece') === null ? '' : ` (ECE ${write(figure(row, 'ece'), 3)})`)),
    label: `Accuracy against confidence, ${rows.map((row) => row.method).join(', ')}`,
    x: {title: 'confidence, %', min: 0, max: 100},
    y: {title: 'accuracy, %', min: 0, max: 100},
  });
  plot.svg.append(draw('line', {class: 'bound', x1: plot.left, y1: plot.bottom, x2: plot.right, y2: plot.top}));
  for (const row of rows) {
    const mark = `s${chosen().indexOf(row) + 1}`;
    const bins = row.calibration.filter((bin) => bin[2] >= 0.2); // of hardly any images an accuracy says nothing
    addLine(
      plot,
      bins.map(([confidence, accuracy]) => [plot.across.at(100 * confidence), plot.up.at(accuracy)]),
      mark,
    );
    for (const [confidence, accuracy, share] of bins) {
      plot.svg.append(
        draw(
          'g',
          {class: `dot ${mark}`},
          shape(mark, plot.across.at(100 * confidence), plot.up.at(accuracy), 2.5 + Math.sqrt(share) / 1.6),
          draw(
            'title',
            {},
            `${row.method}: confidence ${write(100 * confidence)} %, accuracy ${write(accuracy)} %, ` +
              `${write(share)} % of the images`,
          ),
        ),
      );
    }
  }
  asTable(
    'calibration',
    makeTable(
      'Accuracy and share of images by confidence, in percent',
      ['row and confidence', 'accuracy', 'images'],
      rows.flatMap((row) =>
        row.calibration.map(([confidence, accuracy, share]) => [
          `${row.method}, ${write(100 * confidence)}`,
          write(accuracy),
          write(share),
        ]),
      ),
    ),
  );
}

function drawTraining() {
  const rows = chosen().filter((row) => row.training);
  const of = Number(byId('training-of').value);
  const title = of === 2 ? 'training accuracy, %' : 'training loss';
  byId('training-about').textContent =
    of === 2
      ? 'Share of the training images of an epoch that were classified right, augmented as they were trained on; ' +
        'mean over runs. ' +
        'A later stage starts a line of its own; rows on one first stage share its line.'
      : 'Mean training loss of an epoch. Losses of different methods are not on one scale.';
  const moments = rows.map((row) =>
    row.training[1]
      .map((epoch, place) => ({stage: row.training[0][place], epoch, value: row.training[of][place]}))
      .filter((moment) => moment.value !== null),
  );
  const all = moments.flat();
  if (!all.length) {
    empty('training', 'No picked row has a record of its training.');
    return;
  }
  const plot = frame('training', {
    series: seriesOf(rows),
    label: `${title} over epochs, ${rows.map((row) => row.method).join(', ')}`,
    x: {
      title: 'epochs, all stages',
      min: Math.min(...all.map((one) => one.epoch)),
      max: Math.max(...all.map((one) => one.epoch)),
    },
    y: {
      title,
      ...(of === 2
        ? limits(all.map((one) => one.value), {least: 0, most: 100, far: 0})
        : limits(all.map((one) => one.value), {least: 0, far: 12})),
    },
  });
  rows.forEach((row, place) => {
    const mark = `s${chosen().indexOf(row) + 1}`;
    for (const stage of new Set(moments[place].map((moment) => moment.stage))) {
      const points = moments[place]
        .filter((moment) => moment.stage === stage)
        .map((one) => [plot.across.at(one.epoch), plot.up.at(one.value)]);
      addLine(plot, points, mark, 'line shared');
      const [x, y] = points[points.length - 1];
      plot.svg.append(
        draw('g', {class: `dot ${mark}`}, shape(mark, x, y, 4), draw('title', {}, `${row.method}, stage ${stage}`)),
      );
    }
  });
  asTable(
    'training',
    makeTable(
      `${title} over epochs`,
      ['row, stage and epoch', title],
      rows.flatMap((row, place) =>
        moments[place]
          .filter((_, at) => at % 5 === 4 || at === moments[place].length - 1)
          .map((one) => [`${row.method}, ${one.stage}, ${one.epoch}`, write(one.value, of === 2 ? 1 : 3)]),
      ),
    ),
  );
}
