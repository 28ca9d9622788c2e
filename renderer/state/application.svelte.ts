/** @file What the whole window knows: whose it is, and whether the process behind it answers. */

import { bridge, watchLink } from '../bridge/bridge.ts';
import { toFailure } from '../bridge/failure.ts';
import type { Failure } from '../bridge/failure.ts';
import type { LinkState } from '../bridge/types.ts';
import type { Output } from '../bridge/types.ts';
import { router } from '../router.svelte.ts';
import { appearance } from './appearance.svelte.ts';
import { tasks } from './tasks.svelte.ts';

class Application {
  info: Output<'app.state'> | null = $state.raw(null);
  link: LinkState = $state('connecting');
  nextAttemptSeconds = $state(0);
  error: Failure | null = $state.raw(null);
  /** Something that no request was the cause of, until it is put away. */
  problem: Failure | null = $state.raw(null);
  /** An invitation that a link has brought, until it is used. */
  invitation: string | null = $state(null);
  /** A person looks around without having joined. */
  lookingAround = $state(false);

  start(): void {
    tasks.listen();
    bridge.on('problem', (problem) => (this.problem = toFailure(problem)));
    bridge.on('changed', ({ what }) => {
      if (what === 'settings' || what === 'stage') void this.refresh();
      if (what === 'link') void this.#takeLink();
    });
    watchLink((link, seconds) => {
      const opened = link === 'open' && this.link !== 'open';
      this.link = link;
      this.nextAttemptSeconds = seconds;
      if (opened) void this.refresh();
    });
  }

  /** Asks anew for what events do not bring. */
  refresh = async (): Promise<void> => {
    try {
      const info = await bridge.ask('app.state', {});
      appearance.apply(info.settings);
      this.info = info;
      this.error = null;
      if (info.stage !== 'blocked') await tasks.catchUp();
      if (info.surface === 'desktop') await this.#takeLink();
    } catch (thrown) {
      this.error = toFailure(thrown);
    }
  };

  /** The invitation of a link is shown where one joins; nothing is joined. */
  async #takeLink(): Promise<void> {
    const { invitation } = await bridge.ask('app.link', {});
    if (invitation === null) return;
    this.invitation = invitation;
    if (this.info?.stage === 'member') router.go('federation', 'join');
    else router.go('welcome');
  }
}

export const application = new Application();
