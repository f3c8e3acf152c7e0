/** Shapes of the answers of the routes under `/api`; absent parts are `undefined` or `null`. */

export interface About {
  version: string;
  lm: string;
  /** Whether the model is so small that its texts rarely make sense. */
  lm_is_small?: boolean;
  encoder: string | null;
  store: { name: string; users: number; items: number; reviews: number; read_only?: boolean } | null;
  /** `shows_context`: whether texts answer a message. */
  task?: { name: string; shows_context?: boolean } | null;
  methods: { name: string; about: string }[];
  default_method: string;
  rating: { min: number; max: number } | null;
  dimensions: { key: string; name: string }[];
}

export interface UserSummary {
  user: string;
  reviews: number;
  /** Times of the oldest and newest text, seconds since 1970. */
  first?: number;
  last?: number;
}

export interface Users {
  total: number;
  users: UserSummary[];
}

export interface ItemSummary {
  item: string;
  title: string;
  reviews: number;
}

export interface Items {
  total: number;
  items: ItemSummary[];
}

/** Positions of users in a plane; columns of equal length. */
export interface UserMap {
  total_users: number;
  users: string[];
  x: number[];
  y: number[];
  n: number[];
  kept_neighbours: number | null;
  cells: MapCell[] | null;
}

/** What the server tells while it makes a map. */
export interface MapJob {
  status: 'computing';
  /** What is being done, in words of the server: `finding neighbours`, `laying out users`. */
  stage: string;
  done: number;
  of: number | null;
  seconds: number;
}

export interface MapCell {
  id: number | string;
  x: number;
  y: number;
  users: number;
  reviews: number;
}

export interface Review {
  id: number;
  user: string;
  item: string;
  rating: number | null;
  title: string;
  text: string;
  time: number;
  item_title?: string;
}

export interface UserTexts {
  user: string;
  reviews: Review[];
}

export interface Item {
  id: string;
  title: string;
  description: string;
  categories: string[];
}

export interface ItemTexts {
  item: Item;
  reviews: Review[];
}

export interface Quote {
  review: number;
  quote: string;
  /** Spans of the counted words, in code points. */
  marks?: [number, number][];
  item?: string;
  item_title?: string;
  user?: string;
}

export interface Evidence extends Quote {
  other?: Quote;
}

/** Means of the person and of the others, and the interval of the difference, in the measure's unit. */
export interface Figures {
  own: number;
  others: number;
  low: number | null;
  high: number | null;
  unit?: string;
}

export type Standing = 'kept' | 'abstained' | 'unverified' | 'pinned' | 'dropped';

export interface Statement {
  key: string;
  dimension: string;
  text: string;
  source: 'measured' | 'told' | 'written';
  effect?: number;
  reviews: number[];
  against: number[];
  evidence: Evidence[];
  standing: Standing;
  gain?: { own: number; peers: number; specific: number; standard_error: number; reviews: number };
  figures?: Figures | null;
}

export interface ProfileEdit {
  edit: string;
  key: string;
  text?: string;
}

export interface Version {
  version: number;
  time: number;
  edits?: ProfileEdit[];
  undo?: number;
}

export interface Profile {
  user: string;
  version: number;
  tried: number;
  statements: Statement[];
  abstains: boolean;
  abstention: string | null;
  versions?: Version[];
}

export interface Representative extends Review {
  cluster: number | null;
  cluster_size: number;
  similarity: number;
}

export interface Cluster {
  size: number;
  members: string[];
  /** `null` for the person's own group. */
  representative: string | null;
  own?: boolean;
}

export interface Representatives {
  user: string;
  item: string;
  compared_with: string;
  candidates: number;
  dropped: number;
  representatives: Representative[];
  clusters?: Cluster[];
}

export interface Alternative {
  text: string;
  logprob: number;
}

/** Past text of the user that shares a phrase with the written text. */
export interface PhraseSource {
  item?: string;
  title?: string;
  phrase: string;
}

export interface Token {
  text: string;
  /** The token's bytes, given if they are no whole character. */
  bytes?: number[];
  /** Natural logarithm of the probability that the token had. */
  logprob: number;
  /** What the person's texts add to the logarithm. */
  user: number | null;
  /** What the steering adds to it. */
  steer: number | null;
  alternatives?: Alternative[];
  source?: PhraseSource | null;
}

export interface Written {
  text: string;
  method: string;
  finish?: string;
  past?: number[];
  seed?: number;
  prompt_tokens?: number;
  completion_tokens?: number;
  computed?: number;
  reused?: number;
  saved_tokens?: number;
  cut?: unknown[];
  stated?: Profile | null;
}

export interface RealText {
  user: string;
  text: string;
  columns?: { column: number; bits_per_token: number }[];
}

export interface Puzzle {
  id: string;
  item: { item: string; title: string } | null;
  texts: [{ text: string }, { text: string }];
  people: [PuzzlePerson, PuzzlePerson];
}

export interface PuzzlePerson {
  user: string;
  texts: string[];
}

export interface PuzzleAnswer {
  right: boolean;
  truth: 0 | 1;
  machine: { right: boolean; margin_bits: number } | null;
  machine_figure: { right: number; of: number; low: number; high: number } | null;
}

export interface Evaluations {
  reports: { id: string; name: string; time: number | string; methods: string[]; users: number }[];
  running: { id: string; done: number; of: number; methods: string[] }[];
}

export interface ForgetPlan {
  [kind: string]: unknown;
}

export interface Receipt {
  user: string;
  removed: Record<string, number>;
  remains: string[];
  took_s: number;
}
