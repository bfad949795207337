// The gallery's search and cards. Months are read when they are to be shown or searched.
const settings = JSON.parse(document.getElementById('settings').textContent);
const months = settings.months, shown = settings.shown, positions = settings.positions;
const grid = document.getElementById('grid'), box = document.getElementById('search');
const strips = document.getElementById('strip'), verdicts = document.getElementById('verdict');
const grouped = document.getElementById('epochs');
const fields = document.getElementById('fields'), status = document.getElementById('count');
const loaded = new Map();  // month -> its mosaics, the newest first
const total = months.reduce((sum, m) => sum + m.mosaics, 0);

function make(tag, text, css) {
  const one = document.createElement(tag);
  if (text !== undefined) one.textContent = text;
  if (css) one.className = css;
  return one;
}

function contimg(month, mosaics) { loaded.set(month, mosaics); }  // what a month's file calls

function load(month) {
  if (loaded.has(month)) return Promise.resolve();
  return new Promise(done => {
    const file = make('script');
    file.src = 'gallery/' + month + '/mosaics.js';
    file.onload = done;
    file.onerror = () => { loaded.set(month, []); done(); };
    document.head.append(file);
  });
}

// --- search: positions, ranges of the noise, dates, verdicts; all other words are looked for in the text -----------

const SEXAGESIMAL = /(\d{1,2})(?:h|:| )\s*(\d{1,2})(?:m|:| )\s*(\d{1,2}(?:\.\d*)?)s?[\s,]+([-+−])?(\d{1,2})(?:d|°|:| )\s*(\d{1,2})(?:m|'|′|:| )\s*(\d{1,2}(?:\.\d*)?)(?:s|"|″)?/;
// Without seconds, where letters or colons tell hours from degrees; and the digits of a name, J1331+3030.
const MINUTES = /(\d{1,2})(?:h|:)\s*(\d{1,2}(?:\.\d*)?)(?:(?:m|:)\s*(\d{1,2}(?:\.\d*)?)s?|m)?[\s,]+([-+−])?(\d{1,2})(?:d|°|:)\s*(\d{1,2}(?:\.\d*)?)(?:(?:m|'|′|:)\s*(\d{1,2}(?:\.\d*)?)(?:s|"|″)?|m|'|′)?/;
const NAME = /(?:^|\s)[jb]?(\d\d)(\d\d)(\d\d(?:\.\d*)?)?\s*([-+−])(\d\d)(\d\d)(\d\d(?:\.\d*)?)?(?=$|\s)/;
const DEGREES = /(?:^|\s)(\d{1,3}(?:\.\d*)?)°?[\s,]+([-+−]\d{1,2}(?:\.\d*)?|\d{1,2}\.\d*)°?(?=$|[\s,])/;
const RADIUS = /(?:^|\s)(?:r|radius)\s*=?\s*([\d.]+)°?(?=$|\s)/;
const RMS = /(?:^|\s)rms\s*(<=?|>=?|≤|≥)\s*([\d.]+)/g;
const RMS_RANGE = /(?:^|\s)rms\s*=?\s*([\d.]+)\s*(?:-|–|\.\.)\s*([\d.]+)/;
const DATES = /(?:^|\s)(\d{4}-\d\d(?:-\d\d)?)\s*(?:\.\.|–|to)\s*(\d{4}-\d\d(?:-\d\d)?)(?=$|\s)/;
const DATE = /(?:^|\s)(\d{4}-\d\d(?:-\d\d)?)(?=$|\s)/;

function signed(sign, degrees) { return sign === '-' || sign === '−' ? -degrees : degrees; }

// Return what a text asks for: {place, radius, rms, dates, verdict, words}.
function parse(text) {
  const asked = {place: null, radius: 0, rms: [], dates: null, verdict: null, words: []};
  // A declination may follow without a space: 13h31m08s+30d30m33s.
  let rest = text.toLowerCase().replace(/(\d|[hms°])([+−])(?=\d)/g, '$1 $2').replace(/([hms])-(?=\d)/g, '$1 -'), found;
  const take = pattern => {
    found = pattern.exec(rest);
    if (found) rest = rest.replace(found[0], ' ');
    return found;
  };
  if (take(RADIUS)) asked.radius = Number(found[1]);
  for (const one of rest.matchAll(RMS)) {
    asked.rms.push([one[1].replace('≤', '<=').replace('≥', '>='), Number(one[2])]);
    rest = rest.replace(one[0], ' ');
  }
  if (take(RMS_RANGE)) asked.rms.push(['>=', Number(found[1])], ['<=', Number(found[2])]);
  if (take(DATES)) asked.dates = [found[1], found[2] + '~'];
  else if (take(DATE)) asked.dates = [found[1], found[1] + '~'];
  if (take(SEXAGESIMAL) || take(MINUTES) || take(NAME)) {
    const [, h, m, s, sign, d, dm, ds] = found;
    asked.place = [15 * (+h + m / 60 + (s || 0) / 3600), signed(sign, +d + dm / 60 + (ds || 0) / 3600)];
  } else if (take(DEGREES)) {
    const dec = found[2].replace('−', '-');
    asked.place = [Number(found[1]) % 360, Number(dec)];
  }
  for (const word of rest.split(/[\s,]+/).filter(Boolean)) {
    if (['passed', 'warning', 'failed'].includes(word)) asked.verdict = word;
    else asked.words.push(word);
  }
  return asked;
}

// Return whether a direction is within a mosaic's field, or nearer to it than a radius; all in degrees.
function covers(e, [ra, dec], radius) {
  if (!e.centre || !e.half) return false;
  const east = Math.abs((ra - e.centre[0] + 540) % 360 - 180), north = Math.abs(dec - e.centre[1]);
  return north <= e.half[1] + radius && east <= e.half[0] + radius / Math.max(Math.cos(dec * Math.PI / 180), 1e-3);
}

const COMPARE = {'<': (a, b) => a < b, '<=': (a, b) => a <= b, '>': (a, b) => a > b, '>=': (a, b) => a >= b};

function matches(e, asked) {
  if (asked.place && !covers(e, asked.place, asked.radius)) return false;
  if (asked.verdict && e.verdict !== asked.verdict) return false;
  if (asked.dates && !(e.date && e.date >= asked.dates[0] && e.date <= asked.dates[1])) return false;
  if (!asked.rms.every(([sign, value]) => e.rms !== null && COMPARE[sign](e.rms, value))) return false;
  if (verdicts.value && e.verdict !== verdicts.value) return false;
  if (strips.value && e.strip !== strips.value) return false;
  // The name of a calibrator asks for its position as well as for the word.
  return asked.words.every(word => e.text.includes(word) || (positions[word] && covers(e, positions[word], asked.radius)));
}

// --- cards ----------------------------------------------------------------------------------------------------------

function card(e) {
  const one = make('article'), link = make('a'), text = make('div', undefined, 'text'), list = make('dl');
  one.id = e.name;
  link.href = e.href;
  if (e.thumbnail) {
    const picture = make('img');
    picture.src = e.thumbnail; picture.alt = 'picture of ' + e.name; picture.loading = 'lazy';
    link.append(picture);
  } else link.append(make('div', 'no picture', 'none'));
  text.append(make('h2', e.name), make('span', e.verdict, 'badge ' + e.verdict));
  if (e.synthetic) text.append(' ', make('span', 'simulated', 'badge synthetic'));
  for (const [name, value] of e.facts) list.append(make('dt', name), make('dd', value));
  text.append(list);
  if (e.note) text.append(make('p', e.note, 'soft small'));
  one.append(link, text);
  return one;
}

function outline(e) {
  const one = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  const title = document.createElementNS('http://www.w3.org/2000/svg', 'title');
  one.setAttribute('class', 'field ' + e.verdict);
  one.setAttribute('d', e.outline);
  title.textContent = e.name + ': ' + e.verdict;
  one.append(title);
  one.addEventListener('click', () => { box.value = e.name; draw(); });
  return one;
}

// Return cards, with the epochs of each field of a strip together below a heading if that is wanted.
function cards(found) {
  if (!grouped.checked) return found.map(card);
  const groups = new Map();
  for (const e of found) {
    const key = e.field || 'place not measured';
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(e);
  }
  return [...groups.keys()].sort().flatMap(key => {
    const epochs = groups.get(key), head = make('h3', key + ': ' + epochs.length + (epochs.length > 1 ? ' epochs' : ' epoch'));
    return [head, ...epochs.map(card)];
  });
}

let asked_last = 0;

async function draw(only) {
  const turn = ++asked_last, asked = parse(box.value), found = [];
  const all = !box.value.trim() && !verdicts.value && !strips.value;
  let count = 0;
  for (const m of months) {  // the newest first; without a question no more are read than are drawn
    if (only ? m.month !== only : all && found.length >= shown) continue;
    await load(m.month);
    if (turn !== asked_last) return;  // the question has changed meanwhile
    const some = loaded.get(m.month).filter(e => matches(e, asked));
    count += some.length;
    found.push(...some.slice(0, shown - found.length));
    if (!all) status.textContent = 'searching ' + m.month + ' …';
  }
  if (!only && all) count = total;
  grid.replaceChildren(...cards(found));
  fields.replaceChildren(...found.filter(e => e.outline).map(outline).reverse());
  const more = count > found.length ? ', the newest ' + found.length + ' drawn' : '';
  status.textContent = count + ' of ' + total + ' mosaics' + more;
  document.body.dataset.drawn = found.length;
}

for (const one of document.querySelectorAll('#list a'))
  one.addEventListener('click', event => { event.preventDefault(); box.value = ''; draw(one.dataset.month); });
box.addEventListener('input', () => draw());
for (const one of [strips, verdicts, grouped]) one.addEventListener('change', () => draw());
// A mosaic's page asks for the other epochs of its field behind a '#'.
function ask() {
  try { if (location.hash.length > 1) box.value = decodeURIComponent(location.hash.slice(1)); } catch { box.value = ''; }
  draw();
}
window.addEventListener('hashchange', ask);
ask();
