/** The key that the server asks for, kept until the tab is closed. It never stands in an address. */

const NAME = 'idiolect-key';

export function storedKey(): string | null {
  try {
    return sessionStorage.getItem(NAME);
  } catch {
    return null;
  }
}

export function storeKey(key: string): void {
  try {
    sessionStorage.setItem(NAME, key);
  } catch {
    // Storage may be switched off; the key is then asked for again.
  }
}
