/** @file Which screen is shown: the part of the address behind `#/`. */

/** The words of the address: `#/data/clinic` is `['data', 'clinic']`. */
function read(): readonly string[] {
  const path = /^#\/(.*)$/.exec(location.hash)?.[1] ?? '';
  return path
    .split('/')
    .filter((part) => part !== '')
    .map((part) => decodeURIComponent(part));
}

class Router {
  path: readonly string[] = $state.raw(read());

  constructor() {
    window.addEventListener('hashchange', () => {
      this.path = read();
    });
  }

  /** The screen's name, empty at the beginning. */
  get screen(): string {
    return this.path[0] ?? '';
  }

  go(...path: string[]): void {
    location.hash = linkTo(...path);
  }
}

/** The address of a screen, for links. */
export function linkTo(...path: string[]): string {
  return `#/${path.map(encodeURIComponent).join('/')}`;
}

export const router = new Router();
