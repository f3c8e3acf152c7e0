import { RequestError, isAbort } from '../api/error';
import { stream } from '../api/request';
import type { Token, Written } from '../api/types';
import { asRequestError } from './resource.svelte';
import { type Span, spans } from './tokens';

/** Time for which pieces are collected, ms. */
const FRAME = 16;

export type Phase = 'idle' | 'reading' | 'writing' | 'done' | 'stopped' | 'failed';

/**
 * A text while it is written: its pieces and its tokens with their numbers as they come, then the tokens of
 * the whole text, then its cost.
 */
export class Writer {
  phase = $state<Phase>('idle');
  text = $state('');
  written = $state.raw<Written | null>(null);
  error = $state.raw<RequestError | null>(null);
  private tokens: Token[] = $state.raw([]);
  private control: AbortController | null = null;
  /** Pieces and tokens that are not shown yet: fast models send many within a frame. */
  private pending = '';
  private pendingTokens: Token[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;

  get spans(): Span[] {
    return spans(this.tokens);
  }

  get isRunning(): boolean {
    return this.phase === 'reading' || this.phase === 'writing';
  }

  /** Writes a text; one that is being written is given up. */
  async write(body: Record<string, unknown>): Promise<void> {
    this.control?.abort();
    const control = new AbortController();
    this.control = control;
    [this.phase, this.text, this.tokens, this.written, this.error] = ['reading', '', [], null, null];
    [this.pending, this.pendingTokens] = ['', []];
    try {
      for await (const { event, data } of stream('/api/write', { ...body, why: true }, control.signal)) {
        if (control.signal.aborted) return;
        this.take(event, data);
      }
      if (this.isRunning) throw new RequestError(0, '', 'unreachable');
    } catch (reason) {
      if (control.signal.aborted || isAbort(reason)) return;
      this.error = asRequestError(reason);
      this.phase = 'failed';
    }
  }

  stop(): void {
    this.control?.abort();
    if (this.isRunning) this.phase = 'stopped';
  }

  private show(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (!this.pending || !this.isRunning) return;
    this.phase = 'writing';
    this.text += this.pending;
    this.tokens = [...this.tokens, ...this.pendingTokens];
    [this.pending, this.pendingTokens] = ['', []];
  }

  private take(event: string, data: unknown): void {
    const told = data as Record<string, unknown>;
    if (event === 'text') {
      this.pending += String(told.piece ?? '');
      this.timer ??= setTimeout(() => this.show(), FRAME);
    } else if (event === 'tokens') {
      this.pendingTokens.push(...((told.tokens as Token[] | undefined) ?? []));
    } else if (event === 'why') {
      this.show();
      this.tokens = (told.tokens as Token[] | undefined) ?? [];
    } else if (event === 'done') {
      [this.pending, this.pendingTokens] = ['', []];
      this.written = told as unknown as Written;
      this.text = this.written.text;
      this.phase = 'done';
    } else if (event === 'error') {
      throw RequestError.of(500, data);
    }
  }
}
