// A server with the answers of `idiolect serve` for tests of the page: the sample corpus, or invented
// people in any number, or hostile texts. Numbers are made from the texts, and are the same each time.

import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const dist = join(here, '../dist');
const sample = join(here, '../../../../data/sample');

export const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; " +
  "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml' };

/** A number from 0 to 1 made from a text. */
function draw(text) {
  return createHash('sha256').update(text).digest().readUInt32BE(0) / 2 ** 32;
}

function lines(name) {
  return readFileSync(join(sample, name), 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
}

export function sampleCorpus() {
  const items = new Map(lines('items.jsonl').map((item) => [item.item, { id: item.item, title: item.title, description: item.description, categories: item.categories }]));
  const reviews = lines('reviews.jsonl').map((review, i) => ({ id: i + 1, ...review }));
  return { items, reviews };
}

/** Texts that a page must show as they are. */
export function hostileCorpus() {
  const name = '<script>document.title="broken"</script>';
  const items = new Map([
    ['"><img src=x onerror=alert(1)>', { id: '"><img src=x onerror=alert(1)>', title: '<b>bold</b> \u202Eright to left', description: '{{constructor}} ${7*7} <style>*{display:none}</style>', categories: ['<i>', '&amp;'] }],
    ['a/b?c#d %2F', { id: 'a/b?c#d %2F', title: '', description: '', categories: [] }],
  ]);
  const ids = [...items.keys()];
  const texts = [
    '<script>document.body.innerHTML=""</script><img src="http://evil.example/x.png" onerror="alert(1)">',
    `\u202Eetirw ot yrt\u202C \u2066isolated\u2069 \u200F\u200E ${'a\u0301'.repeat(40)}`,
    `${'word '.repeat(20000)}end`,
    'x'.repeat(3000),
    'line\nline\n\n\n  indented\ttab \u0000\u0007\u001b[31m red',
    '\ud83d\udc69\u200d\ud83d\udc69\u200d\ud83d\udc67 emoji \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 \u4f60\u597d',
  ];
  const users = [name, '...', 'a b/c?d#e', '\u202Enimda', 'x'.repeat(200), 'constructor'];
  const reviews = users.flatMap((user, u) => texts.map((text, i) => ({
    id: u * 10 + i + 1, user, item: ids[(u + i) % 2], rating: (i % 5) + 1, title: i % 2 ? '<h1>title</h1>' : '', text, time: i === 0 ? 0 : 1.6e9 + i * 1e7,
  })));
  return { items, reviews };
}

/** Users in the plane, around some centres. */
export function invented(count) {
  const users = Array.from({ length: count }, (_, i) => `user-${String(i).padStart(5, '0')}`);
  let state = 1;
  const random = () => (state = (state * 48271) % 2147483647) / 2147483647;
  const normal = () => Math.sqrt(-2 * Math.log(random() || 1e-9)) * Math.cos(2 * Math.PI * random());
  const centres = Array.from({ length: 24 }, () => [0.1 + 0.8 * random(), 0.1 + 0.8 * random(), 0.015 + 0.05 * random()]);
  const clip = (value) => Math.min(1, Math.max(0, value));
  const places = users.map((_, i) => {
    const [x, y, wide] = centres[i % centres.length];
    return [clip(x + wide * normal()), clip(y + wide * normal())];
  });
  return { users, x: places.map((p) => p[0]), y: places.map((p) => p[1]), n: users.map(() => Math.ceil(4 + 30 * random() ** 4)) };
}

const METHODS = [
  ['non-perso', 'item, rating and title only'],
  ['rag', 'the most relevant past texts in one prompt'],
  ['scp', 'a conversation of past texts'],
  ['dpl', 'differences to representatives, summarized'],
  ['idiolect', 'as scp after two prompts, with the user’s habits in the logits'],
].map(([name, about]) => ({ name, about }));

const DIMENSIONS = [
  { key: 'writing', name: 'Writing style' },
  { key: 'emotional', name: 'Emotional style' },
  { key: 'semantic', name: 'Semantic style' },
];

/** Measures whose means the mock counts. */
const MEASURES = [
  { key: 'sentence_words', dimension: 'writing', unit: 'plain', of: (t) => words(t).length / Math.max(1, t.split(/[.!?]+/).filter((s) => s.trim()).length), say: (o, p) => `Writes ${o < p ? 'short' : 'long'} sentences, about ${round(o)} words each, where others write ${round(p)}.` },
  { key: 'exclamations', dimension: 'emotional', unit: 'percent', of: (t) => (t.match(/!/g) ?? []).length / Math.max(1, t.split(/[.!?]+/).length), say: (o, p) => (o < p ? 'Hardly ever uses exclamation marks.' : `Ends sentences with exclamation marks (${round(100 * o)} %; others ${round(100 * p)} %).`) },
  { key: 'capitals', dimension: 'writing', unit: 'rate', of: (t) => rate(t, /\b[A-Z]{2,}\b/g), say: (o, p) => `Writes words in CAPITALS ${round(o)} times in 100 words (others ${round(p)}).` },
  { key: 'semicolons', dimension: 'writing', unit: 'rate', of: (t) => rate(t, /;/g), say: (o, p) => `Uses semicolons ${round(o)} times in 100 words (others ${round(p)}).` },
  { key: 'contractions', dimension: 'writing', unit: 'rate', of: (t) => rate(t, /\w+['’]\w+/g), say: (o, p) => (o < p ? 'Writes words out where others use contractions.' : `Contracts words, ${round(o)} in 100 (others ${round(p)}).`) },
  { key: 'numbers', dimension: 'semantic', unit: 'rate', of: (t) => rate(t, /\d+/g), say: (o, p) => `Names numbers, ${round(o)} in 100 words (others ${round(p)}).` },
];
const words = (text) => text.match(/[\p{L}\p{N}'’]+/gu) ?? [];
const rate = (text, pattern) => (100 * (text.match(pattern) ?? []).length) / Math.max(1, words(text).length);
const round = (value) => String(value >= 10 ? Math.round(value) : Math.round(value * 10) / 10);
const mean = (values) => values.reduce((a, b) => a + b, 0) / Math.max(1, values.length);

/**
 * Starts a mock. Options: `corpus`, `people` (invented users of the map), `cells`, `key`, `loadingMs`, `delayMs`,
 * `hasNoStore`, `reports`, `pace` (ms between pieces of a text), `mapStage` (what is told of a map that is not ready),
 * `answersMessage` (texts answer a message).
 */
export async function startMock(options = {}) {
  const corpus = options.corpus ?? sampleCorpus();
  const plane = options.people ? invented(options.people) : null;
  const started = Date.now();
  const edits = new Map();
  const forgotten = new Set();
  let guesses = { right: 0, of: 0 };
  const requests = [];
  const bodies = [];
  const tickets = new Set();
  let mapStage = options.mapStage ?? null;
  const reviewsOf = (user) => corpus.reviews.filter((r) => r.user === user && !forgotten.has(user));
  const live = () => corpus.reviews.filter((r) => !forgotten.has(r.user));
  const userList = () => {
    if (plane) return plane.users.map((user, i) => ({ user, reviews: plane.n[i], first: 1.5e9, last: 1.7e9 }));
    const names = [...new Set(live().map((r) => r.user))];
    const all = names.map((user) => {
      const own = reviewsOf(user);
      return { user, reviews: own.length, first: Math.min(...own.map((r) => r.time)), last: Math.max(...own.map((r) => r.time)) };
    });
    return all.sort((a, b) => b.reviews - a.reviews || (a.user < b.user ? -1 : 1));
  };
  const names = () => userList().map((u) => u.user);
  const near = (user, k) => names().filter((n) => n !== user).sort((a, b) => draw([user, a].sort().join()) - draw([user, b].sort().join())).slice(0, k);

  function profile(user) {
    const own = reviewsOf(user);
    const peers = live().filter((r) => r.user !== user && own.some((o) => o.item === r.item));
    const statements = MEASURES.map((measure, index) => {
      const o = mean(own.map((r) => measure.of(r.text)));
      const p = mean(peers.map((r) => measure.of(r.text)));
      const spread = Math.sqrt(mean(peers.map((r) => (measure.of(r.text) - p) ** 2))) || 1;
      const half = (1.2 * spread) / Math.sqrt(Math.max(1, own.length));
      const evidence = [...own].sort((a, b) => (o > p ? 1 : -1) * (measure.of(b.text) - measure.of(a.text))).slice(0, 3).map((r) => {
        const other = peers.filter((q) => q.item === r.item).sort((a, b) => (o > p ? 1 : -1) * (measure.of(a.text) - measure.of(b.text)))[0];
        return { review: r.id, quote: quote(r.text, measure.key, o > p), item: r.item, item_title: corpus.items.get(r.item)?.title ?? '', other: other && { review: other.id, user: other.user, quote: quote(other.text, measure.key, o < p) } };
      });
      const standing = ['kept', 'kept', 'unverified', 'unverified', 'abstained', 'unverified'][index];
      const gain = ['kept', 'abstained'].includes(standing) ? { own: 0.06 * (o !== p), peers: 0.011, specific: standing === 'kept' ? 0.034 : -0.002, standard_error: 0.012, reviews: own.length } : undefined;
      return { key: measure.key, dimension: measure.dimension, text: measure.say(o, p), source: 'measured', effect: Math.max(-3, Math.min(3, (0.8 * (o - p)) / spread)), reviews: own.map((r) => r.id), against: peers.slice(0, 40).map((r) => r.id), evidence, standing, gain, figures: { own: o, others: p, low: o - p - half, high: o - p + half, reviews: own.length, unit: measure.unit } };
    }).filter((s) => Math.abs(s.effect) > 0.15);
    if (options.isAlike) for (const statement of statements) statement.standing = 'abstained';
    const versions = edits.get(user) ?? [];
    const undone = new Set(versions.map((v) => v.undo));
    for (const version of versions.filter((v) => v.edits && !undone.has(v.version))) {
      for (const edit of version.edits) {
        const found = statements.find((s) => s.key === edit.key);
        if (edit.edit === 'add') statements.push({ key: edit.key, dimension: edit.dimension, text: edit.text, source: 'written', reviews: [], against: [], evidence: [], standing: 'pinned' });
        else if (!found) continue;
        else if (edit.edit === 'pin') found.standing = 'pinned';
        else if (edit.edit === 'drop') found.standing = 'dropped';
        else if (edit.edit === 'reword') Object.assign(found, { text: edit.text, source: 'written', standing: 'pinned', gain: undefined });
      }
    }
    const abstains = !statements.some((s) => ['kept', 'pinned'].includes(s.standing));
    return { user, version: versions.length, tried: MEASURES.length, statements, abstains, abstention: abstains ? 'No personalization beyond the texts themselves.' : null, versions };
  }

  /** The sentence that shows most of a measure. */
  function quote(text, key, isMuch) {
    const sentences = text.split(/(?<=[.!?])\s+/).filter(Boolean);
    const measure = MEASURES.find((m) => m.key === key);
    const sorted = [...sentences].sort((a, b) => (isMuch ? 1 : -1) * (measure.of(b) - measure.of(a)));
    return (sorted[0] ?? text).slice(0, 200);
  }

  function textFor(user, item, method, seed) {
    const own = reviewsOf(user).filter((r) => r.item !== item);
    const from = method === 'non-perso' ? 'This is a good product. It works well and I am happy with it. I would recommend it to anyone who needs one, and I will buy from this seller again.' : (own[seed % Math.max(1, own.length)]?.text ?? 'Nothing is known.');
    return from.slice(0, options.longest ?? 500);
  }

  function tokensOf(text, user, strength) {
    const past = reviewsOf(user).map((r) => r.text.toLowerCase());
    return (text.match(/\s?[\p{L}\p{N}'’]{1,7}|\s?[^\p{L}\p{N}]/gu) ?? [text]).flatMap((piece, i) => {
      const x = draw(`${user}${piece}${i % 7}`);
      const bytes = [...new TextEncoder().encode(piece)];
      // Of a very long text only the numbers are told.
      if (text.length > 20_000) return [{ text: piece, logprob: -1, user: 3.2 * (x - 0.42), steer: 0 }];
      const base = { text: piece, logprob: -0.05 - 3 * draw(`p${piece}${i}`), user: 3.2 * (x - 0.42), steer: strength * 0.9 * (draw(`s${piece}`) - 0.3), alternatives: [' the', ' a', ' it'].map((text, j) => ({ text, logprob: -1.2 - j - draw(piece + j) })), source: x > 0.8 && past.some((t) => t.includes(piece.trim().toLowerCase())) ? { item: corpus.reviews[0].item, title: corpus.items.get(corpus.reviews[0].item)?.title, phrase: text.slice(Math.max(0, text.indexOf(piece) - 12), text.indexOf(piece) + piece.length).trim() } : null };
      // An emoji comes as two tokens that are no whole character each.
      if (bytes.length >= 4 && /\p{Extended_Pictographic}/u.test(piece)) return [{ ...base, text: '\ufffd', bytes: bytes.slice(0, 2) }, { ...base, text: '\ufffd', bytes: bytes.slice(2) }];
      return [base];
    });
  }

  const failure = (status, message, code = null, param = null) => ({ status, body: { error: { message, type: 'invalid_request_error', param, code } } });
  const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

  async function api(method, url, body, send) {
    const q = url.searchParams;
    const parts = url.pathname.split('/').slice(2).map(decodeURIComponent);
    const [kind, id, part] = parts;
    const item = (key) => corpus.items.get(key);
    if (kind === 'about') {
      return { version: '0.1.0', lm: 'smollm2-135m-instruct', lm_is_small: true, encoder: 'all-minilm-l6-v2', store: options.hasNoStore ? null : { name: 'sample.sqlite', users: options.isEmpty ? 0 : plane ? plane.users.length : names().length, items: corpus.items.size, reviews: live().length, read_only: Boolean(options.isReadOnly) }, task: { name: 'review', text: 'review', shows_context: Boolean(options.answersMessage) }, methods: METHODS, default_method: 'idiolect', rating: { min: 1, max: 5 }, dimensions: DIMENSIONS };
    }
    if (kind === 'users' && !id) {
      const query = (q.get('query') ?? '').toLowerCase();
      const all = options.isEmpty ? [] : userList().filter((u) => u.user.toLowerCase().includes(query));
      return { total: all.length, users: all.slice(0, Number(q.get('limit') ?? 1000)) };
    }
    if (kind === 'users') {
      const own = reviewsOf(id);
      if (part === 'neighbours' && plane) return { user: id, neighbours: plane.users.slice(0, 8) };
      if (own.length === 0) return failure(404, 'the user is not in the store', 'user_unknown');
      if (!part && method === 'GET') return { user: id, reviews: own.map((r) => ({ ...r, item_title: item(r.item)?.title ?? '' })) };
      if (!part && method === 'DELETE') {
        forgotten.add(id);
        await sleep(300);
        return { user: id, removed: { reviews: own.length, vectors: own.length, derived: 14, index: 1 }, remains: ['reports of evaluations that were written to files', 'exports that were saved'], took_s: 0.34 };
      }
      if (part === 'forget') return { user: id, would_remove: { reviews: own.length, vectors: own.length, derived: 14, split_rows: 0, profile_versions: (edits.get(id) ?? []).length, items: 0, index: 1 }, remains: [] };
      if (part === 'neighbours') return { user: id, neighbours: near(id, Number(q.get('k') ?? 10)) };
      if (part === 'export') return { user: id, reviews: own };
      if (part === 'profile' && method === 'GET' && q.get('format')) return { format: q.get('format') };
      if (part === 'profile' && method === 'GET') return profile(id);
      if (part === 'profile') {
        const before = profile(id);
        if (body.version !== before.version) return failure(400, `the newest version of the profile is ${before.version}; read it again`, 'version_outdated', 'version');
        const versions = edits.get(id) ?? [];
        const version = { version: versions.length + 1, time: 1.7e9 + versions.length * 1e5 };
        const undone = new Set(versions.map((v) => v.undo));
        if (body.undo) version.undo = versions.filter((v) => v.edits && !undone.has(v.version)).at(-1)?.version;
        else {
          version.edits = [
            ...(body.pin ?? []).map((key) => ({ edit: 'pin', key })), ...(body.drop ?? []).map((key) => ({ edit: 'drop', key })),
            ...(body.restore ?? []).map((key) => ({ edit: 'restore', key })), ...Object.entries(body.reword ?? {}).map(([key, text]) => ({ edit: 'reword', key, text })),
            ...(body.add ?? []).map((a) => ({ edit: 'add', key: `written-${versions.length}`, ...a })),
          ];
        }
        edits.set(id, [...versions, version]);
        return { user: id, revision: version };
      }
    }
    if (kind === 'items' && !id) {
      const query = (q.get('query') ?? '').toLowerCase();
      const all = [...corpus.items.values()].map((one) => ({ item: one.id, title: one.title, reviews: live().filter((r) => r.item === one.id).length })).filter((one) => `${one.item} ${one.title}`.toLowerCase().includes(query));
      return { total: all.length, items: all.slice(0, Number(q.get('limit') ?? 1000)) };
    }
    if (kind === 'items') {
      if (!item(id)) return failure(404, 'the item is not in the store');
      return { item: item(id), reviews: live().filter((r) => r.item === id) };
    }
    if (kind === 'map') {
      if (mapStage) return { status: 202, body: { status: 'computing', stage: mapStage, done: 14000, of: 50000, seconds: 43 } };
      if (options.isEmpty) return { total_users: 0, users: [], x: [], y: [], n: [], kept_neighbours: null, cells: null, computed_in_s: 0 };
      if (options.cells && !q.get('cell')) {
        const made = invented(options.cells);
        return { total_users: 120000, users: [], x: [], y: [], n: [], kept_neighbours: null, computed_in_s: 9, cells: made.users.map((_, i) => ({ id: i, x: made.x[i], y: made.y[i], users: 200 + Math.round(4000 * draw(`c${i}`)), reviews: 9000 })) };
      }
      if (plane) return { total_users: plane.users.length, ...plane, kept_neighbours: 0.31, cells: null, computed_in_s: 61 };
      const list = userList();
      return { total_users: list.length, users: list.map((u) => u.user), x: list.map((u) => draw(`x${u.user}`)), y: list.map((u) => draw(`y${u.user}`)), n: list.map((u) => u.reviews), kept_neighbours: 0.71, cells: null, computed_in_s: 0.2 };
    }
    if (kind === 'representatives') {
      const [user, key] = [q.get('user'), q.get('item')];
      const others = live().filter((r) => r.item === key && r.user !== user);
      const k = Math.min(4, others.length);
      const groups = Array.from({ length: k }, (_, c) => others.filter((_, i) => i % k === c));
      return { user, item: key, k: 4, seed: 42, compared_with: 'own-review', candidates: others.length, dropped: 1, representatives: groups.map((g, c) => ({ ...g[0], cluster: c, cluster_size: g.length, similarity: 0.35 + 0.6 * draw(g[0].user + user) })), clusters: [...groups.map((g) => ({ size: g.length, members: g.map((r) => r.user), representative: g[0].user, own: false })), { size: 1, members: [user], representative: null, own: true }] };
    }
    if (kind === 'write') {
      if (body.user === 'nobody') return failure(400, 'there is no user `nobody`', 'user_unknown', 'user');
      const text = textFor(body.user, body.item, body.method, body.seed ?? 1);
      await sleep(options.pace ? 400 : 0);
      const isPersonal = body.method !== 'non-perso';
      const tokens = tokensOf(text, body.user, body.strength ?? 1).map((t) => (isPersonal ? t : { ...t, user: null, steer: null, source: null }));
      // Tokens come before their text; those of a very long text come at its end.
      let told = text.length > 20_000 ? tokens.length : 0;
      let ahead = 0;
      let at = 0;
      for (const piece of text.match(/\s*\S+\s*$|\s*\S+/g) ?? []) {
        at += piece.length;
        while (told < tokens.length && ahead < at) {
          const token = { ...tokens[told], source: null };
          ahead += token.bytes ? 1 : token.text.length;
          told += 1;
          send('tokens', { tokens: [token] });
        }
        if (!send('text', { piece })) return null;
        if (options.pace) await sleep(options.pace);
      }
      if (options.breaksOff) return send('error', { error: { message: 'the answer took longer than 600 s', type: 'timeout', param: null, code: null } }) && null;
      send('why', { tokens });
      send('done', { text, method: body.method, cut: [], prompt_tokens: 812, completion_tokens: tokens.length, computed: 1, reused: 0, finish: 'stop', past: reviewsOf(body.user).slice(-8).map((r) => r.id), user: body.user, item: body.item, seed: body.seed ?? 1 });
      return null;
    }
    if (kind === 'compare') {
      const made = body.columns.map((c) => textFor(c.user, body.item, c.method, body.seed ?? 1));
      send('begin', { columns: made.length, seed: body.seed ?? 1, real: reviewsOf(body.columns[0].user).some((r) => r.item === body.item) });
      const pieces = made.map((text) => text.match(/\s*\S+\s*$|\s*\S+/g) ?? []);
      for (let i = 0; i < Math.max(...pieces.map((p) => p.length)); i += 1) {
        for (const [column, p] of pieces.entries()) if (p[i] !== undefined && !send('text', { column, piece: p[i] })) return null;
        if (options.pace) await sleep(options.pace);
      }
      made.forEach((text, column) => send('done', { column, text, method: body.columns[column].method, completion_tokens: text.length >> 2, seed: body.seed }));
      const real = reviewsOf(body.columns[0].user).find((r) => r.item === body.item);
      if (real) send('real', { user: real.user, text: real.text, columns: body.columns.map((c, column) => ({ column, bits_per_token: c.method === 'non-perso' ? 5.91 : c.method === 'idiolect' ? 4.72 : 5.03 })) });
      send('end', {});
      return null;
    }
    if (kind === 'guess' && method === 'GET') {
      if (names().length < 2) return failure(404, 'no two users have four texts of 40 characters', 'no_question');
      const seed = Number(q.get('seed') ?? 1);
      const all = names();
      const [a, b] = [all[seed % all.length], all[(seed + 1 + (seed % (all.length - 1))) % all.length]];
      const shared = reviewsOf(a).find((r) => reviewsOf(b).some((o) => o.item === r.item));
      const target = (user) => reviewsOf(user).find((r) => r.item === shared?.item) ?? reviewsOf(user)[0];
      const known = (user) => reviewsOf(user).filter((r) => r !== target(user)).slice(0, 3).map((r) => r.text);
      const truth = seed % 2;
      const two = truth === 0 ? [target(a), target(b)] : [target(b), target(a)];
      return { id: Buffer.from(String(seed)).toString('base64url'), item: shared ? { item: shared.item, title: item(shared.item)?.title ?? '' } : null, texts: two.map((r) => ({ text: r.text })), people: [{ user: a, texts: known(a) }, { user: b, texts: known(b) }] };
    }
    if (kind === 'guess') {
      const truth = Number(Buffer.from(body.id, 'base64url').toString()) % 2;
      const machine = draw(body.id) < 0.86;
      guesses = { right: guesses.right + machine, of: guesses.of + 1 };
      return { right: body.answer === truth, truth, machine: { right: machine, margin_bits: 14.2 * draw(`m${body.id}`) }, machine_figure: { right: 51 + guesses.right, of: 59 + guesses.of, low: 0.75, high: 0.93 } };
    }
    if (kind === 'evaluations' && part === 'ticket') {
      const address = `/api/evaluations/${id}/report?ticket=${draw(String(tickets.size)) * 2 ** 32}`;
      tickets.add(address);
      return { address, seconds: 60 };
    }
    if (kind === 'evaluations' && !id) return options.reports === false ? { reports: [], running: [] } : { reports: [{ id: '2026-11-28', name: 'Sample corpus, three methods', time: 1764300000, methods: ['non-perso', 'scp', 'idiolect'], users: 16 }], running: [{ id: 'r2', done: 41, of: 96, methods: ['dpl', 'idiolect'] }] };
    return failure(404, 'there is no such route; GET /v1/openapi.json lists them');
  }

  const handle = async (request, response) => {
    const url = new URL(request.url, 'http://x');
    requests.push(`${request.method} ${url.pathname}`);
    const headers = { 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer', 'cross-origin-opener-policy': 'same-origin', 'cross-origin-resource-policy': 'same-origin', 'cache-control': 'no-store' };
    const answer = (status, body, type = 'application/json', more = {}) => {
      response.writeHead(status, { ...headers, 'content-type': type, ...more });
      response.end(body);
    };
    if (url.pathname.startsWith('/api/evaluations/') && url.pathname.endsWith('/report')) {
      const isAllowed = !options.key || request.headers.authorization === `Bearer ${options.key}` || tickets.delete(request.url);
      if (!isAllowed) return answer(401, '{}');
      return answer(200, '<!doctype html><html lang="en"><title>Report</title><h1>Report of evaluate</h1><p>Methods side by side.</p>', 'text/html', { 'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'" });
    }
    if (!url.pathname.startsWith('/api/')) {
      const path = normalize(url.pathname === '/' ? '/index.html' : url.pathname);
      const file = join(dist, path);
      if (!existsSync(file) || !extname(file)) return answer(404, '{}');
      return answer(200, readFileSync(file), TYPES[extname(file)] ?? 'application/octet-stream', { 'content-security-policy': CSP });
    }
    if (options.key && request.headers.authorization !== `Bearer ${options.key}`) return answer(401, JSON.stringify(failure(401, 'the key is missing or wrong', 'invalid_api_key').body));
    if (options.loadingMs && Date.now() - started < options.loadingMs) return answer(503, JSON.stringify(failure(503, 'the models are being loaded').body));
    if (options.delayMs) await sleep(options.delayMs);
    if (options.fails?.(url.pathname)) return answer(500, JSON.stringify(failure(500, 'the server could not read the store').body));
    let text = '';
    for await (const chunk of request) text += chunk;
    let isStream = false;
    const send = (event, data) => {
      if (!isStream) response.writeHead(200, { ...headers, 'content-type': 'text/event-stream' });
      isStream = true;
      if (response.destroyed) return false;
      response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
      return true;
    };
    const body = text ? JSON.parse(text) : {};
    bodies.push(body);
    const told = await api(request.method, url, body, send);
    if (isStream) return response.end();
    if (told?.status && told.body) return answer(told.status, JSON.stringify(told.body));
    return answer(200, JSON.stringify(told));
  };
  const server = createServer((request, response) => {
    // A page that is left closes its connections.
    handle(request, response).catch((error) => {
      if (error.code !== 'ECONNRESET') throw error;
    });
  });
  await new Promise((done) => server.listen(options.port ?? 0, '127.0.0.1', done));
  const { port } = server.address();
  return { url: `http://127.0.0.1:${port}`, port, requests, bodies, setMapStage: (stage) => (mapStage = stage), close: () => new Promise((done) => { server.closeAllConnections(); server.close(done); }) };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const mock = await startMock({ port: Number(process.argv[2] ?? 8099), pace: 40 });
  process.stdout.write(`${mock.url}\n`);
}
