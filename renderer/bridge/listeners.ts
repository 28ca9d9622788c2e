/** @file Who listens to which event of the bridge. */

export class Listeners {
  readonly #all = new Map<string, Set<(body: never) => void>>();

  /** Returns how to stop listening. */
  add(event: string, listener: (body: never) => void): () => void {
    const set = this.#all.get(event) ?? new Set();
    this.#all.set(event, set.add(listener));
    return () => void set.delete(listener);
  }

  tell(event: string, body: unknown): void {
    this.#all.get(event)?.forEach((each) => each(body as never));
  }
}
