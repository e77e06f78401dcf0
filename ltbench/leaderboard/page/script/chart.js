// Chart.js with the page's colors, and two things that it lacks: names beside points, and lines between the splits.
const charts = {};

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

// A name is drawn where it covers no other one and no point: right of its own, else left, above or below; else not at all.
const names = {
  id: 'names',
  afterDatasetsDraw(chart) {
    const {ctx, chartArea} = chart;
    const points = chart.data.datasets.flatMap((_, index) => chart.getDatasetMeta(index).data);
    const taken = points.map((point) => ({x: point.x - 4, y: point.y, width: 8}));
    ctx.save();
    ctx.font = '12px system-ui, sans-serif';
    ctx.fillStyle = color('ink');
    ctx.textBaseline = 'middle';
    chart.data.datasets.forEach((dataset, index) => {
      if (!dataset.named) return;
      chart.getDatasetMeta(index).data.forEach((point, place) => {
        const text = short(dataset.data[place].method);
        const width = ctx.measureText(text).width;
        const spots = [[9, 0], [-width - 9, 0], [-width / 2, -14], [-width / 2, 14]];
        const free = spots.map(([dx, dy]) => ({x: point.x + dx, y: point.y + dy})).find((spot) => spot.x >= chartArea.left + 2
          && spot.x + width <= chartArea.right && spot.y > chartArea.top + 4 && spot.y < chartArea.bottom - 4
          && taken.every((box) => spot.x > box.x + box.width || spot.x + width < box.x || Math.abs(spot.y - box.y) > 13));
        if (!free) return;
        taken.push({...free, width});
        ctx.fillText(text, free.x, free.y);
      });
    });
    ctx.restore();
  },
};

// Few, medium and many part where the table says: usually at 20 and above 100 training images.
const shots = {
  id: 'shots',
  beforeDatasetsDraw(chart) {
    const {ctx, chartArea, scales} = chart;
    ctx.save();
    ctx.strokeStyle = color('muted');
    ctx.fillStyle = color('muted');
    ctx.font = '12px system-ui, sans-serif';
    ctx.textAlign = 'center';
    ctx.setLineDash([4, 4]);
    const at = (images) => Math.min(Math.max(scales.x.getPixelForValue(images), chartArea.left), chartArea.right);
    const bounds = [chartArea.left, at(current().splits[1]), at(current().splits[0]), chartArea.right];
    ['few', 'medium', 'many'].forEach((name, place) => {
      if (bounds[place + 1] - bounds[place] > 44) {
        ctx.fillText(name, (bounds[place] + bounds[place + 1]) / 2, chartArea.top + 12);
      }
    });
    for (const x of bounds.slice(1, 3)) {
      if (x <= chartArea.left || x >= chartArea.right) continue;
      ctx.beginPath();
      ctx.moveTo(x, chartArea.top);
      ctx.lineTo(x, chartArea.bottom);
      ctx.stroke();
    }
    ctx.restore();
  },
};

function axis(title, more) {
  return {title: {display: true, text: title, color: color('ink')}, grid: {color: color('rule')}, border: {color: color('muted')},
    ticks: {color: color('ink'), maxRotation: 0}, ...more};
}

function draw(id, label, datasets, scales, {legend = false, plugins = [], tooltip = {}} = {}) {
  const canvas = byId(id);
  canvas.setAttribute('aria-label', label);
  if (charts[id]) charts[id].destroy();
  charts[id] = new Chart(canvas, {
    type: 'scatter',
    data: {datasets},
    plugins,
    options: {
      animation: false, maintainAspectRatio: false, responsive: true, scales, interaction: {mode: 'nearest', intersect: true},
      plugins: {
        legend: {display: legend, position: 'bottom', onClick: null,
          labels: {color: color('ink'), usePointStyle: true, boxWidth: 9, boxHeight: 9, filter: (item, data) => !data.datasets[item.datasetIndex].silent}},
        tooltip: {callbacks: tooltip},
      },
    },
  });
}

// Logarithmic ticks at 1, 2, 5, 10, ... only: between them they would touch.
const sparse = (value) => (/^[125]/.test(value.toExponential()) ? value.toLocaleString('en') : '');
