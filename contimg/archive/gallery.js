// The gallery's search and cards. Months are read when they are to be shown or searched.
const settings = JSON.parse(document.getElementById('settings').textContent);
const months = settings.months, shown = settings.shown, positions = settings.positions;
const grid = document.getElementById('grid'), box = document.getElementById('search');
const strips = document.getElementById('strip'), verdicts = document.getElementById('verdict');
const grouped = document.getElementById('epochs');
const fields = document.getElementById('fields'), status = document.getElementById('count');
const loaded = new Map();  // month -> its mosaics, the newest first
if (settings.records) loaded.set(months[0].month, settings.records);  // those of a small page stand on it
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

const YEAR = '(\\d{4}(?:-\\d\\d){0,2})', DAY = '(\\d{4}-\\d\\d(?:-\\d\\d)?)', END = '(?=$|[\\s,])', START = '(?:^|[\\s,])';
const BETWEEN = new RegExp(START + YEAR + '\\s*(?:\\.\\.|[-–\\s]|to)\\s*' + YEAR + END);
const SINCE = new RegExp(START + '(?:(since|from|after|>=|≥|>)\\s*' + YEAR + '|' + YEAR + '\\s*\\.\\.)' + END);
const BEFORE = new RegExp(START + '(?:(before|until|<=|≤|<)\\s*|\\.\\.\\s*)' + YEAR + END);
const DATE = new RegExp(START + DAY + END);
const UNIT = '([mµμu]?jy(?:/beam)?)', NUMBER = '(\\d*\\.?\\d+)\\s*', NOISE = '(?:rms|noise)\\s*';
const SIGN = '(<=?|>=?|≤|≥)\\s*', TO = '(?:-|–|\\.\\.|to|and)\\s*';
// The noise by its name, or a number with its unit.
const RMS = [NOISE + SIGN + NUMBER + UNIT + '?', SIGN + NUMBER + UNIT].map(one => new RegExp(START + one + END));
const RMS_RANGE = [
  NOISE + '(?:=|between)?\\s*' + NUMBER + UNIT + '?\\s*' + TO + NUMBER + UNIT + '?', NUMBER + UNIT + '?\\s*' + TO + NUMBER + UNIT,
].map(one => new RegExp(START + one + END));
const RADIUS = new RegExp(START + '(?:r|radius|within)\\s*=?\\s*(\\d*\\.?\\d+)\\s*(deg|d|°|arcmin|\'|′|arcsec|"|″)?' + END);
const BARE_RADIUS = new RegExp(START + '(\\d*\\.?\\d+)\\s*(arcmin|arcsec)' + END);
// J133108.3+303033, J1331+3030, B1328+307; and as the VLA's list of calibrators, whose last digit is a tenth of a degree: 1331+305.
const NAME = /(?:^|\s)([jb])?(\d\d)(\d\d)(\d\d(?:\.\d*)?)?\s*([-+])(\d\d)(?:(\d\d)(\d\d(?:\.\d*)?)?|(\d))(?=$|[\s,])/;
const ANGLE = /^([-+]?)(\d+(?:\.\d*)?)(?!\.?\d)(deg|[hmsd°'"′″:](?![a-z]))?(?![a-z.])[\s,]*/;  // one number of a position
const MJY = {'': 1, m: 1, 'µ': 1e-3, 'μ': 1e-3, u: 1e-3, j: 1e3};
const RADIUS_DEG = {arcmin: 1 / 60, "'": 1 / 60, '′': 1 / 60, arcsec: 1 / 3600, '"': 1 / 3600, '″': 1 / 3600};

const NO_DIRECTION = ' is no direction: hours to 24 or degrees to 360, then -90 to +90';

// Return degrees or hours of the numbers of one angle; null where they are none: 30:75, or 31.5 30.
function angle(parts) {
  if (!parts.length || parts.length > 3) return null;
  if (parts.slice(0, -1).some(one => one.dot) || parts.slice(1).some(one => one.value >= 60)) return null;
  const size = parts.reduce((sum, one, place) => sum + one.value / 60 ** place, 0);
  return parts[0].sign === '-' ? -size : size;
}

// Return [ra, dec] in degrees; null where there is no such direction.
function direction(east, north) {
  let ra = angle(east);
  const dec = angle(north), hours = east.length > 1 || 'h:'.includes(east[0].unit || '?');
  if (ra === null || dec === null) return null;
  ra *= hours && east[0].unit !== 'd' && east[0].unit !== '°' ? 15 : 1;
  return ra >= 0 && ra < 360 && Math.abs(dec) <= 90 ? [ra, dec] : null;
}

// Rotations to ICRS: of galactic coordinates (ESA 1997, Hipparcos, vol. 1, 1.5.3), and of B1950 (Murray 1989, A&A 218,
// 325, without the E-terms of aberration and proper motions: right to 0.5 arcsec).
const TO_ICRS = {
  galactic: [[-0.0548756, 0.4941094, -0.8676661], [-0.8734371, -0.4448296, -0.1980764], [-0.4838350, 0.7469822, 0.4559838]],
  b1950: [[0.9999257, -0.0111815, -0.0048590], [0.0111815, 0.9999375, -0.0000272], [0.0048590, -0.0000272, 0.9999882]],
};
const FRAME = /(?:^|[\s,(])(b1950|fk4|galactic|gal)(?=$|[\s=:,.])[=:.]?/;
const LONGITUDE = /(?:^|[\s,(])(?:l\s*=?\s*|g)(?=\d+(?:\.\d*)?[°d]?[\s,]*(?:b\s*=?\s*)?[-+]?\d)/;

// Return [ra, dec] in degrees of a direction in another frame, in degrees.
function toIcrs([east, north], frame) {
  const [l, b] = [east * Math.PI / 180, north * Math.PI / 180];
  const from = [Math.cos(b) * Math.cos(l), Math.cos(b) * Math.sin(l), Math.sin(b)];
  const [x, y, z] = TO_ICRS[frame].map(row => row.reduce((sum, one, k) => sum + one * from[k], 0));
  return [(Math.atan2(y, x) * 180 / Math.PI + 360) % 360, Math.asin(Math.max(-1, Math.min(1, z))) * 180 / Math.PI];
}

// Take the name of a frame that is not ICRS out of what a question asks for; return the rest of its text.
function takeFrame(text, asked) {
  const named = FRAME.exec(text), galactic = LONGITUDE.exec(text);
  if (named) asked.frame = 'bf'.includes(named[1][0]) ? 'b1950' : 'galactic';
  else if (galactic) asked.frame = 'galactic';
  if (!asked.frame) return text;
  const rest = named ? text.replace(named[0], ' ') : text;
  return asked.frame === 'galactic' ? rest.replace(LONGITUDE, ' ').replace(/([\d\s,])b\s*=?\s*(?=[-+]?\d)/, '$1 ') : rest;
}

// Return the numbers of a text that begins with some, and how many characters they are.
function numbers(text) {
  const parts = [];
  let length = 0;
  for (let found; (found = ANGLE.exec(text.slice(length))); length += found[0].length)
    parts.push({sign: found[1], value: Number(found[2]), unit: found[3], dot: found[2].includes('.')});
  return [parts, length];
}

// Return where the declination begins among numbers: at a sign, behind hours with colons or units, or in the middle.
function middle(parts) {
  const signed = parts.findIndex((one, place) => place && one.sign);
  if (signed > 0) return signed;
  if (parts[0].unit === ':') return parts.findIndex(one => one.unit !== ':') + 1;
  const degrees = parts.findIndex((one, place) => place && 'd°deg'.includes(one.unit || '?'));
  return degrees > 0 ? degrees : parts.length % 2 ? 0 : parts.length / 2;
}

// Take the first position out of what a question asks for; return the rest of its text.
function takePlace(text, asked) {
  const name = NAME.exec(text);
  if (name) {
    const [whole, letter, h, m, s, sign, d, dm, ds, tenth] = name;
    const parts = (...values) => values.filter(one => one !== undefined).map(one => ({sign, value: Number(one)}));
    const east = parts(h, m, s).map(one => ({...one, sign: '', unit: ':'}));
    asked.place = direction(east, tenth ? parts(d + '.' + tenth) : parts(d, dm, ds));
    if (asked.place === null) asked.wrong = whole.trim() + NO_DIRECTION;
    else if (letter === 'b') asked.place = toIcrs(asked.place, 'b1950');
    return text.replace(whole, ' ');
  }
  const start = /(?:^|\s)(?=[-+]?\d)/g;
  for (let found; (found = start.exec(text)); ) {
    const from = found.index + found[0].length, [parts, length] = numbers(text.slice(from));
    start.lastIndex = from + Math.max(length, 1);
    // Degrees, and the radius of a cone: 202.78 30.51 1
    const [ra, dec, third] = parts;
    if (third && dec.dot && !third.sign && (ra.dot || dec.sign) && !'h:'.includes(ra.unit || '?'))
      asked.radius = parts.splice(2)[0].value;
    const split = parts.length > 1 ? middle(parts) : 0;
    if (!split) continue;
    asked.place = direction(parts.slice(0, split), parts.slice(split));
    if (asked.place === null) asked.wrong = text.slice(from, from + length).trim() + NO_DIRECTION;
    else if (asked.frame) asked.place = toIcrs(asked.place, asked.frame);
    return text.slice(0, from) + ' ' + text.slice(from + length);
  }
  return text;
}

const MONTHS = 'jan feb mar apr may jun jul aug sep oct nov dec'.split(' ');
const MONTH = '(' + MONTHS.join('|') + ')[a-z]*\\.?';
const DAY_IN_WORDS = new RegExp('(?:(?<!\\d)(\\d\\d?)(?:st|nd|rd|th)?\\.?[\\s-]*)?(?<![a-z])' + MONTH + '[\\s,-]*(\\d{4})(?!\\d)', 'g');
const MONTH_FIRST = new RegExp('(?<![a-z])' + MONTH + '\\s*(\\d\\d?)(?:st|nd|rd|th)?,?\\s+(\\d{4})(?!\\d)', 'g');
const YEAR_FIRST = new RegExp('(?<!\\d)(\\d{4})[\\s-]*' + MONTH + '(?:[\\s-]*(\\d\\d?)(?!\\d))?', 'g');

function month(name) { return String(MONTHS.indexOf(name) + 1).padStart(2, '0'); }

// Return a question in the letters and words that `parse` knows.
function plain(text) {
  return text.toLowerCase().replace(/[−]/g, '-').replace(/ʰ/g, 'h').replace(/ᵐ/g, 'm').replace(/ˢ/g, 's')
    .replace(/[()]/g, ' ').replace(/(?:^|[\s,])(?:icrs|j2000|fk5|ra|dec|decl?|cone|verdict|date)(?=$|[\s=:,.])[=:.]?/g, ' ')
    .replace(MONTH_FIRST, (_, name, d, y) => [y, month(name), d.padStart(2, '0')].join('-'))
    .replace(DAY_IN_WORDS, (_, d, name, y) => [y, month(name), ...(d ? [d.padStart(2, '0')] : [])].join('-'))
    .replace(YEAR_FIRST, (_, y, name, d) => [y, month(name), ...(d ? [d.padStart(2, '0')] : [])].join('-'))
    .replace(/(?:^|[\s,])mjd\s*=?\s*(\d{5})(?:\.\d*)?(?=$|[\s,])/g, (_, mjd) => ' ' + new Date((mjd - 40587) * 864e5).toISOString().slice(0, 10))
    .replace(/(\d{4})[-\/](\d\d?)[-\/](\d\d?)(?!\d)/g, (_, y, m, d) => [y, m.padStart(2, '0'), d.padStart(2, '0')].join('-'))
    // A time of a day, as it stands in names.
    .replace(/(\d{4})-(\d\d)-(\d\d)(?:t|\s+)(\d\d):(\d\d)(?::(\d\d))?(?:\s*utc)?(?!\s*[\d:.,+-])/g, '$1$2$3t$4$5$6')
    // A declination may follow without a space: 13h31m08s+30d30m33s.
    .replace(/([\dhms°.])([+])(?=\d)/g, '$1 $2').replace(/([hms])-(?=\d)/g, '$1 -').replace(/(:\d\d(?:\.\d*)?)-(?=\d)/g, '$1 -');
}

const VERDICTS = ['passed', 'warning', 'failed'];

// Return whether the last day of a month is not exceeded: the parser of dates takes 2026-02-30 for 2 March.
function isDay(date) { return date.length < 10 || new Date(date).toISOString().slice(0, 10) === date; }

// Return the names of calibrators in a question, of up to three words (3C 286, Cyg A), and the rest of its text. They go
// first: 1328+307 is no position.
function takeNames(text) {
  const words = text.split(/[\s,]+/).filter(Boolean), names = [], others = [];
  while (words.length) {
    const many = [3, 2, 1].find(count => positions[words.slice(0, count).join('').toLowerCase()]);
    if (many) names.push(words.splice(0, many).join('').toLowerCase());
    else others.push(words.shift());
  }
  return names.length ? [names, others.join(' ')] : [names, text];
}

// Return what a text asks for: {place, frame, radius, rms, dates, verdicts, words, wrong}; `wrong` says what can be no answer.
function parse(text) {
  const asked = {place: null, frame: null, radius: 0, rms: [], dates: [], verdicts: [], words: [], wrong: null};
  const [names, others] = takeNames(text);
  let rest = plain(others), found;
  const take = pattern => {
    found = pattern.exec(rest);
    if (found) rest = rest.replace(found[0], ' ');
    return found;
  };
  const mjy = (value, unit) => Number(value) * MJY[(unit || '')[0] || ''];
  if (take(RADIUS) || take(BARE_RADIUS)) asked.radius = Number(found[1]) * (RADIUS_DEG[found[2]] || 1);
  while (RMS.some(take)) asked.rms.push([found[1].replace('≤', '<=').replace('≥', '>='), mjy(found[2], found[3])]);
  if (RMS_RANGE.some(take)) {
    const ends = [mjy(found[1], found[2] || found[4]), mjy(found[3], found[4] || found[2])];
    asked.rms.push(['>=', Math.min(...ends)], ['<=', Math.max(...ends)]);
  }
  // '~' comes after all digits: the whole of a day, month or year.
  if (take(BETWEEN)) {
    const [first, last] = found.slice(1, 3).sort();
    asked.dates.push(['>=', first], ['<', last + '~']);
  }
  if (take(SINCE)) asked.dates.push(['>=', (found[2] || found[3]) + (['after', '>'].includes(found[1]) ? '~' : '')]);
  if (take(BEFORE)) asked.dates.push(['<', found[2] + (['before', '<'].includes(found[1]) ? '' : '~')]);
  if (take(DATE)) asked.dates.push(['>=', found[1]], ['<', found[1] + '~']);
  const odd = asked.dates.map(one => one[1].replace('~', '')).find(one => Number.isNaN(Date.parse(one)) || !isDay(one));
  if (odd) asked.wrong = odd + ' is no date';
  const dotted = /(?:^|[\s,])(\d\d?)\.(\d\d?)\.(\d{4})(?=$|[\s,])/.exec(rest);
  if (dotted) asked.wrong = dotted[0].trim() + ' is no date: write ' + dotted.slice(1).reverse().map(one => one.padStart(2, '0')).join('-');
  rest = rest.replace(/(?:^|\s)not\s+(passed|warning|failed)(?=$|\s)/g, (_, no) => {
    asked.verdicts.push(...VERDICTS.filter(one => one !== no));
    return ' ';
  });
  rest = takePlace(takeFrame(rest, asked), asked);
  for (const word of [...names, ...rest.split(/[\s,]+/).filter(Boolean)]) {
    if (VERDICTS.includes(word)) asked.verdicts.push(word);
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
  if (asked.wrong) return false;
  if (asked.place && !covers(e, asked.place, asked.radius)) return false;
  if (asked.verdicts.length && !asked.verdicts.includes(e.verdict)) return false;
  if (!asked.dates.every(([sign, value]) => e.date && COMPARE[sign](e.date, value))) return false;
  if (!asked.rms.every(([sign, value]) => e.rms !== null && COMPARE[sign](e.rms, value))) return false;
  if (verdicts.value && e.verdict !== verdicts.value) return false;
  if (strips.value && e.strip !== strips.value) return false;
  // The name of a calibrator asks for its position as well as for the word.
  return asked.words.every(word => e.text.includes(word) || (positions[word] && covers(e, positions[word], asked.radius)));
}

// --- cards ----------------------------------------------------------------------------------------------------------

function card(e, level) {
  const one = make('article'), link = make(e.href ? 'a' : 'div', undefined, 'shown'), list = make('dl');
  const text = make('div', undefined, 'text');
  one.id = e.name;
  if (e.href) link.href = e.href;
  if (e.thumbnail) {
    const picture = make('img');
    picture.src = e.thumbnail; picture.alt = 'picture of ' + e.name; picture.loading = 'lazy';
    link.append(picture);
  } else link.append(make('div', 'no picture', 'none'));
  text.append(make(level, e.name), make('span', e.verdict, 'badge ' + e.verdict));
  if (e.synthetic) text.append(' ', make('span', 'simulated', 'badge synthetic'));
  for (const [name, value] of e.facts) {
    const shown = make('dd', name === 'DOI' ? undefined : value);
    if (name === 'DOI') shown.append(make('a', value));
    if (name === 'DOI') shown.firstChild.href = 'https://doi.org/' + value;
    list.append(make('dt', name), shown);
  }
  text.append(list);
  if (e.note) text.append(make('p', e.note, 'soft small'));
  if (e.why) {  // what is held waits for a decision
    const reasons = make('ul');
    reasons.append(...e.why.map(reason => make('li', reason)));
    text.append(reasons, ...e.commands.map(command => make('pre', command)));
  }
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
  if (!grouped.checked) return found.map(e => card(e, 'h2'));
  const groups = new Map();
  for (const e of found) {
    const key = e.field || 'place not measured';
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(e);
  }
  return [...groups.keys()].sort().flatMap(key => {
    const epochs = groups.get(key), head = make('h2', key + ': ' + epochs.length + (epochs.length > 1 ? ' epochs' : ' epoch'));
    return [head, ...epochs.map(e => card(e, 'h3'))];
  });
}

// Return how a question was understood: what can be no answer, the position, or words that were taken as text and not found.
function hint(asked, count) {
  if (asked.wrong) return '; ' + asked.wrong;
  if (asked.place) {
    const [ra, dec] = asked.place.map(one => one.toFixed(2));
    return ' at ' + ra + '°, ' + (dec < 0 ? '' : '+') + dec + '°' + (asked.radius ? ' within ' + asked.radius.toFixed(2) + '°' : '');
  }
  const words = asked.words.filter(word => !positions[word]);
  if (count || !words.length) return '';
  // Names of sources have digits or a letter of their own: M31, NGC 1275, Sgr A.
  const source = words.some(word => /^([a-z]+\d|\d+[a-z]|[a-z]$|ngc$|pks$)/.test(word));
  return '; looked for the text ' + words.map(word => '“' + word + '”').join(' and ')
    + (source ? ': names are known of flux calibrators alone, other sources are found by their position, 13:31:08 +30:30' : '');
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
  if (fields) fields.replaceChildren(...found.filter(e => e.outline).map(outline).reverse());
  const more = count > found.length ? ', the newest ' + found.length + ' drawn' : '';
  status.textContent = count + ' of ' + total + ' mosaics' + more + hint(asked, count);
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
