'use strict';
// What is shown is set as text, never as HTML.
const EPHEMERAL = 1, HIDDEN = 2, SERVER = 4;
const MOST = 200;       // children, services, changes and matches at a time
const byId = id => document.getElementById(id);
const make = (name, text, kind) => {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
};
// Swedish dates are those of ISO 8601: no reader takes a month for a day.
const time = ms => new Date(ms).toLocaleTimeString('sv-SE');
const moment = ms => ms ? new Date(ms).toLocaleString('sv-SE') : '';
const brief = ms => moment(ms).slice(0, 10) === moment(Date.now()).slice(0, 10)
  ? time(ms) : moment(ms);

let root = null;
let health = {};
let base = '';                  // the path of the top node, '' for the root
const changedAt = new Map();    // the path of a service -> milliseconds
const opened = new Set();
const places = new Set();       // paths of nodes that have, or had, servers
let waiting = [];
let isPaused = false;
let chosen = null;             // the path that is marked
let wanted = '';                // a path to show as soon as it is there

// Nodes.

function read(data, parent) {
  const node = {
    name: data[0], lines: data[1], flags: data[2], born: data[4] || 0,
    session: data[5] || '', parent, children: new Map(), item: null, shown: MOST};
  node.path = parent === null ? base : `${parent.path}/${node.name}`;
  return node;
}

function readTree(data) {
  if (data === null) return null;
  const top = read(data, null);
  const todo = [[data, top]];
  while (todo.length) {
    const [raw, node] = todo.pop();
    for (const each of raw[3]) {
      const child = read(each, node);
      node.children.set(child.name, child);
      note(child);
      todo.push([each, child]);
    }
    note(node);
  }
  return top;
}

function note(node) {
  if (node.name === 'providers') places.add(node.path);
  if (node.flags & SERVER && node.parent) places.add(node.parent.path);
}

function find(path) {
  if (root === null || path !== base && !path.startsWith(base + '/'))
    return null;
  let node = root;
  for (const name of path.slice(base.length).split('/').slice(1)) {
    if (name === '') continue;
    node = node.children.get(name);
    if (!node) return null;
  }
  return node;
}

const sorted = node => [...node.children.keys()].sort()
  .map(name => node.children.get(name));

// Events.

function apply(events) {
  const touched = new Set();
  for (const [kind, path, text, lines, flags, born = 0, session = ''] of events) {
    log(text);
    const cut = path.lastIndexOf('/');
    const above = path.slice(0, cut), name = path.slice(cut + 1);
    let node = find(path === '/' ? '' : path);
    if (kind === 'delete node') {
      if (!node) continue;
      if (node.flags & SERVER) changedAt.set(above, Date.now());
      if (node.parent) {
        node.parent.children.delete(name);
        touched.add(node.parent);
      } else root = null;
      places.delete(path);
      continue;
    }
    if (!node) {
      const parent = path === base ? null : find(above);
      if (parent === null && path !== base) continue;
      node = read([name, lines, flags, [], born, session], parent);
      if (parent) {
        parent.children.set(name, node);
        touched.add(parent);
      } else root = node;
    }
    if ((kind === 'add node' || kind === 'replace node') && flags & SERVER)
      changedAt.set(above, Date.now());
    Object.assign(node, {lines, flags, born, session});
    note(node);
    touched.add(node);
  }
  for (const node of touched) if (node.item) redraw(node);
  if (root === null || root.item === null) drawTree();
  drawServices();
  if (byId('find').value) search();
  if (wanted && find(wanted)) show(wanted);
}

function log(text) {
  const list = byId('changes');
  list.prepend(make('li', text));
  while (list.childElementCount > MOST) list.lastElementChild.remove();
}

// The tree.

function drawTree() {
  const list = byId('tree');
  list.replaceChildren();
  if (root === null) {
    list.append(make('li', 'there is no such node', 'bad'));
    return;
  }
  opened.add(root.path);
  list.append(draw(root));
}

function draw(node) {
  node.item = make('li');
  fill(node);
  return node.item;
}

function redraw(node) {
  const hadFocus = node.item.contains(document.activeElement) &&
    document.activeElement.closest('li') === node.item;
  fill(node);
  if (hadFocus) {
    const target = node.item.querySelector('summary');
    if (target) target.focus();
  }
}

function fill(node) {
  const [head, ...lines] = node.lines;
  const kind = node.flags & EPHEMERAL ? 'session' : '';
  const parts = [head];
  if (node.flags & HIDDEN) parts.push('(may not be read)');
  if (node.children.size) parts.push(`(${node.children.size})`);
  const label = parts.join(' ');
  if (!lines.length && !node.children.size && !node.session) {
    const leaf = make('div', label, `leaf ${kind}`);
    leaf.tabIndex = -1;
    if (node.path === chosen) leaf.classList.add('shown');
    node.item.replaceChildren(leaf);
    return;
  }
  const details = make('details');
  details.append(make('summary', label, kind));
  if (node.path === chosen) details.firstChild.classList.add('shown');
  details.open = opened.has(node.path);
  if (details.open) fillDetails(node, details);
  details.addEventListener('toggle', () => {
    if (details.open) {
      opened.add(node.path);
      if (details.childElementCount === 1) fillDetails(node, details);
    } else opened.delete(node.path);
  });
  node.item.replaceChildren(details);
}

function fillDetails(node, details) {
  const [, ...lines] = node.lines;
  if (node.session)
    lines.push(`# session ${node.session}, since ${moment(node.born)}`);
  if (lines.length) {
    const box = make('div', undefined, 'lines');
    for (const line of lines) box.append(drawLine(line, node), '\n');
    details.append(box);
  }
  if (!node.children.size) return;
  const list = make('ul');
  const children = sorted(node);
  for (const child of children.slice(0, node.shown)) list.append(draw(child));
  details.append(list);
  if (children.length > node.shown) {
    const rest = children.length - node.shown;
    const more = make('button', `${rest} more: show ` +
      (rest > MOST ? `${MOST} of them` : 'them'));
    more.type = 'button';
    more.addEventListener('click', () => {
      node.shown += MOST;
      redraw(node);
    });
    details.append(more);
  }
}

function drawLine(line, node) {
  const match = /^(\S+ [-=]> )(\S+)(.*)$/.exec(line);
  if (!match) return line;
  const box = make('span', match[1]);
  const link = make('a', match[2]);
  link.href = '#' + encodeURI(resolve(node.path, match[2]));
  box.append(link, match[3]);
  return box;
}

function resolve(from, target) {
  const names = [];
  const whole = target.startsWith('/') ? target : `${from}/${target}`;
  for (const name of whole.split('/')) {
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
  }
  return '/' + names.join('/');
}

function show(path) {
  const node = find(path === '/' ? '' : path);
  wanted = node ? '' : path;
  if (!node) {
    byId('state').textContent = `there is no ${path}; it is shown when it comes`;
    return;
  }
  byId('find').value = '';
  search();
  for (let each = node; each; each = each.parent) {
    opened.add(each.path);
    const siblings = each.parent ? sorted(each.parent).indexOf(each) : 0;
    if (each.parent && siblings >= each.parent.shown)
      each.parent.shown = siblings + 1;
  }
  chosen = node.path;
  drawTree();
  const target = node.item.querySelector('summary, .leaf');
  target.scrollIntoView({block: 'center'});
  target.focus({preventScroll: true});
}

// Services.

let isDrawing = false;
function drawServices() {
  if (isDrawing) return;
  isDrawing = true;
  requestAnimationFrame(() => {
    isDrawing = false;
    drawServicesNow();
  });
}

function drawServicesNow() {
  const rows = [];
  let count = 0, empty = 0;
  for (const path of [...places].sort()) {
    const node = find(path);
    if (!node) continue;
    const servers = sorted(node).filter(each => each.flags & SERVER);
    count += 1;
    if (!servers.length) empty += 1;
    if (byId('failing').checked && servers.length) continue;
    if (rows.length < MOST) rows.push(drawService(node, servers));
  }
  byId('services').tBodies[0].replaceChildren(...rows);
  byId('services-note').className = empty ? 'bad' : '';
  byId('services-note').textContent = count === 0 ? 'There are no services.' :
    `${count} services, ${empty} without servers` +
    (rows.length === MOST ? `; the first ${MOST} are shown` : '');
}

function drawService(node, servers) {
  const row = make('tr');
  row.append(servers.length ? make('td', '● up', 'good still')
    : make('td', '▲ none', 'bad still'));
  const name = make('td');
  const path = node.path || '/';
  const link = make('a', node.name === 'providers' && node.parent
    ? node.parent.path || '/' : path);
  link.href = '#' + encodeURI(path);
  name.append(link);
  const list = make('ul', undefined, 'servers');
  for (const server of servers.slice(0, MOST)) list.append(drawServer(server));
  const cell = make('td');
  if (servers.length) cell.append(list);
  // Not Math.max: a call has 100,000 arguments at most, or a few more.
  const last = servers.reduce((time, each) => Math.max(time, each.born),
    changedAt.get(node.path) || 0);
  const change = make('td', last ? brief(last) : '', 'soft still');
  change.title = moment(last);
  row.append(name, cell, change);
  return row;
}

function drawServer(server) {
  const item = make('li');
  item.append(make('span', server.name));
  const samples = health[server.path];
  if (!samples || !samples.length) return item;
  const last = samples[samples.length - 1];
  const isWell = last.state === 'registered' || last.state === 'accepts';
  item.append(make('span', (isWell ? '' : '▲ ') + last.state,
    isWell ? 'soft' : 'bad'));
  if (last.threads) item.append(picture(samples, last), figures(last));
  return item;
}

// What the picture's label says at more length.
function figures(last) {
  const busy = `${last.busy_threads || 0}/${last.threads} busy`;
  const text = make('span', last.queued ? `${busy}, ${last.queued} waiting`
    : busy, last.queued ? 'late' : 'soft');
  text.setAttribute('aria-hidden', 'true');
  return text;
}

// Busy threads now as a bar, and of the last minute as a line.
function picture(samples, last) {
  const svg = (name, attributes) => {
    const made = document.createElementNS('http://www.w3.org/2000/svg', name);
    for (const [key, value] of Object.entries(attributes))
      made.setAttribute(key, value);
    return made;
  };
  const share = each => each.threads
    ? Math.min(1, (each.busy_threads || 0) / each.threads) : 0;
  const image = svg('svg', {
    viewBox: '0 0 144 16', role: 'img', 'aria-label':
      `${last.busy_threads || 0} of ${last.threads} threads busy,` +
      ` ${last.in_flight || 0} requests in flight,` +
      ` ${last.queued || 0} waiting`});
  image.append(svg('rect', {
    class: 'frame', x: .5, y: 2.5, width: 47, height: 11}));
  image.append(svg('rect', {
    class: 'busy', x: 1, y: 3, width: 46 * share(last), height: 10}));
  image.append(svg('line', {
    class: 'base', x1: 56, x2: 144, y1: 14.5, y2: 14.5}));
  // The last is at the right, so that lines one below the other compare.
  const points = samples.map((each, at) =>
    `${144 - (samples.length - 1 - at) * 8},${14 - 12 * share(each)}`);
  image.append(svg('polyline', {class: 'history', points: points.join(' ')}));
  const title = svg('title', {});
  title.textContent = image.getAttribute('aria-label');
  image.append(title);
  return image;
}

// Find.

function search() {
  const wanted = byId('find').value.trim().toLowerCase();
  byId('found-part').hidden = !wanted;
  byId('tree-part').hidden = byId('services-part').hidden = !!wanted;
  if (!wanted || root === null) return;
  const found = [];
  let count = 0;
  const todo = [root];
  while (todo.length) {
    const node = todo.pop();
    const path = node.path || '/';
    const line = path.toLowerCase().includes(wanted) ? ''
      : node.lines.find(each => each.toLowerCase().includes(wanted));
    if (line !== undefined) {
      count += 1;
      // The name stands there already: of the first line, the type is left.
      if (found.length < MOST) found.push([path, line === node.lines[0]
        ? line.slice(node.name.length + 1) : line && `  ${line}`]);
    }
    for (const child of sorted(node).reverse()) todo.push(child);
  }
  byId('found-note').textContent = `${count} nodes` +
    (count > MOST ? `, of which the first ${MOST}` : '');
  byId('found').replaceChildren(...found.map(([path, line]) => {
    const item = make('li'), link = make('a', path);
    link.href = '#' + encodeURI(path);
    item.append(link, line);
    return item;
  }));
}

// Compare.

async function compare(file) {
  const plan = byId('plan');
  plan.textContent = `comparing with ${file.name}`;
  try {
    const answer = await fetch('compare', {
      method: 'POST', body: file, headers: {'X-Compare': '1'}});
    if (!answer.ok) throw new Error(await answer.text());
    const told = await answer.json();
    plan.textContent = told.error ? `${file.name}: ${told.error}`
      : told.lines.length === 0 ? `${file.name}: no differences`
      : `${file.name} would be reached by:\n${told.lines.join('\n')}`;
  } catch (error) {
    plan.textContent = `${file.name}: ${error.message}`;
  }
}

// What comes from the server.

const banners = {};
function banner(name, text) {
  banners[name] = text;
  const all = Object.values(banners).filter(Boolean);
  byId('banner').hidden = !all.length;
  byId('banner').textContent = all.join(' ');
}

function receive(name, action) {
  source.addEventListener(name, event => {
    const data = JSON.parse(event.data);
    if (isPaused && name !== 'state') {
      if (name === 'tree') waiting = [];
      waiting.push([action, data]);
      byId('pause').textContent = `Go on (${waiting.length} waiting)`;
    } else action(data);
  });
}

const source = new EventSource('events');
receive('tree', data => {
  base = data.base;
  places.clear();
  root = readTree(data.tree);
  drawTree();
  drawServices();
  byId('state').textContent = `as of ${time(Date.now())}`;
  showLinked();
});
receive('events', data => {
  apply(data);
  byId('state').textContent = `changed at ${time(Date.now())}`;
});
receive('health', data => {
  health = data;
  drawServices();
});
receive('state', data => {
  banner('away', data.away && 'ZooKeeper does not answer since ' +
    `${time(data.away)}; the tree is as of then.`);
  banner('trouble', data.trouble);
});
source.addEventListener('open', () => banner('gone', null));
source.addEventListener('error', () => banner('gone',
  'zookeeper_view does not answer; it is asked again and again.'));

byId('find').addEventListener('input', search);
byId('tools').addEventListener('submit', event => event.preventDefault());
byId('failing').addEventListener('change', drawServices);
byId('pause').addEventListener('click', () => {
  isPaused = !isPaused;
  byId('pause').setAttribute('aria-pressed', isPaused);
  byId('pause').textContent = isPaused ? 'Go on' : 'Pause';
  if (!isPaused) {
    const todo = waiting;
    waiting = [];
    for (const [action, data] of todo) action(data);
  }
});
byId('file').addEventListener('change', event => {
  if (event.target.files.length) compare(event.target.files[0]);
  event.target.value = '';
});
// The permanent link of a node is its path; other links are of this page.
function showLinked() {
  const path = decodeURI(location.hash.slice(1));
  if (path.startsWith('/')) show(path);
}

addEventListener('hashchange', showLinked);
// The addresses of an ensemble may go on in the next line.
const title = document.querySelector('h1');
title.replaceChildren(...title.textContent.split(/(?<=,)/).flatMap(
  part => [part, make('wbr')]));
for (const name of ['dragover', 'drop'])
  addEventListener(name, event => {
    event.preventDefault();
    if (name === 'drop' && event.dataTransfer.files.length)
      compare(event.dataTransfer.files[0]);
  });
