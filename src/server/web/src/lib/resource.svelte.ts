import { RequestError, isAbort } from '../api/error';

/** An answer of the server that a view waits for. */
export interface Resource<T> {
  /** The newest answer; it stays until the next one is there. */
  readonly value: T | undefined;
  readonly error: RequestError | null;
  readonly isLoading: boolean;
  /** Asks again. */
  reload(): void;
}

/**
 * Asks the server, and again whenever state that `ask` reads at its start changes. `ask` returns `null` if
 * there is nothing to ask for.
 */
export function resource<T>(ask: (signal: AbortSignal) => Promise<T> | null): Resource<T> {
  let value = $state.raw<T | undefined>();
  let error = $state.raw<RequestError | null>(null);
  let isLoading = $state(true);
  let round = $state(0);
  $effect(() => {
    void round;
    const control = new AbortController();
    const asked = ask(control.signal);
    if (asked === null) {
      [value, error, isLoading] = [undefined, null, false];
      return;
    }
    isLoading = true;
    asked
      .then((answer) => {
        if (!control.signal.aborted) [value, error, isLoading] = [answer, null, false];
      })
      .catch((reason: unknown) => {
        if (control.signal.aborted || isAbort(reason)) return;
        [error, isLoading] = [asRequestError(reason), false];
      });
    return () => control.abort();
  });
  return {
    get value() {
      return value;
    },
    get error() {
      return error;
    },
    get isLoading() {
      return isLoading;
    },
    reload() {
      round += 1;
    },
  };
}

export function asRequestError(reason: unknown): RequestError {
  if (reason instanceof RequestError) return reason;
  return new RequestError(0, reason instanceof Error ? reason.message : String(reason));
}
