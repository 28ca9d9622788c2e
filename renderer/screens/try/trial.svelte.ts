/** @file One question to several models: what is chosen, what they answer while they write, and the vote. */

import { bridge } from '../../bridge/bridge.ts';
import type { Output } from '../../bridge/types.ts';
import { Action, Resource } from '../../state/resource.svelte.ts';
import { tasks } from '../../state/tasks.svelte.ts';
import { answerStates, rejectedBy, usualKeys, variantKey } from './answers.ts';
import type { Answer } from './answers.ts';

export type Variant = Output<'try.models'>['variants'][number];

class Trial {
  readonly models = new Resource(async () => (await bridge.ask('try.models', {})).variants);
  prompt = $state('');
  /** The model that was chosen; where it is not there, the first one is looked at. */
  #chosen = $state('');
  /** Keys of the variants that a person wants to compare; null until one is chosen or taken out. */
  picked: readonly string[] | null = $state.raw(null);
  maxTokens = $state('128');
  temperature = $state('0');
  seed = $state('0');
  dataset = $state('votes');

  /** Of the last question: what was asked, and what has come. */
  asked: string | null = $state(null);
  answers: readonly Answer[] = $state.raw([]);
  /** While it is under way. */
  task: string | null = $state(null);
  /** Position of the answer that was voted for. */
  chosen: number | null = $state(null);
  kept: Output<'try.vote'> | null = $state.raw(null);
  #listening = false;

  readonly references = $derived([...new Set((this.models.value ?? []).map(({ model }) => model))]);
  readonly model = $derived(
    this.references.includes(this.#chosen) ? this.#chosen : (this.references[0] ?? ''),
  );
  /** Those of the model that is looked at. */
  readonly variants = $derived((this.models.value ?? []).filter(({ model }) => model === this.model));
  readonly compared = $derived(
    this.variants.filter((each) => (this.picked ?? usualKeys(this.variants)).includes(variantKey(each))),
  );

  readonly question = {
    maxTokens: () => whole(this.maxTokens, 1, 4096),
    temperature: () => within(this.temperature, 0, 5),
    seed: () => whole(this.seed, 0, Number.MAX_SAFE_INTEGER),
  };

  readonly ask = new Action(async () => {
    const [maxTokens, temperature, seed] = [
      this.question.maxTokens(),
      this.question.temperature(),
      this.question.seed(),
    ];
    if (maxTokens === null || temperature === null || seed === null) return;
    this.asked = this.prompt.trim();
    this.answers = this.compared.map((variant) => ({
      variant,
      text: '',
      state: 'waiting',
      tokens: 0,
      speed: 0,
    }));
    this.chosen = null;
    this.kept = null;
    try {
      const variants = this.compared.map(({ run }) => ({ run }));
      const { task } = await bridge.ask('try.generate', {
        ...{ prompt: this.asked, variants, model: this.model, maxTokens, temperature, seed },
      });
      this.task = task;
      await tasks.ended(task);
    } finally {
      this.task = null;
      this.answers = answerStates(this.answers, { kind: 'ended' });
    }
  });

  readonly vote = new Action(async (better: number) => {
    const { asked, answers, dataset } = this;
    this.kept = await bridge.ask('try.vote', {
      prompt: asked ?? '',
      chosen: answers[better].text,
      rejected: rejectedBy(answers, better),
      dataset: dataset.trim(),
    });
    this.chosen = better;
  });

  /** Reads what there is and follows what is written; what stands on the screen stays when it is left. */
  open(): void {
    void this.models.load();
    if (this.#listening) return;
    this.#listening = true;
    bridge.on('tokens', (piece) => {
      // The first pieces may come before the answer that names the task.
      if (this.task !== null && piece.task !== this.task) return;
      if (this.ask.busy) this.answers = answerStates(this.answers, { kind: 'piece', piece });
    });
    bridge.on('changed', ({ what }) => {
      if (what === 'results') void this.models.load();
    });
  }

  stop(): void {
    if (this.task !== null) tasks.cancel(this.task);
  }

  /** Looks at another model, of which again the usual variants are compared. */
  look(model: string): void {
    this.#chosen = model;
    this.picked = null;
  }

  toggle(variant: Variant): void {
    const key = variantKey(variant);
    const keys = this.compared.map(variantKey);
    this.picked = keys.includes(key) ? keys.filter((each) => each !== key) : [...keys, key];
  }
}

function within(text: string, least: number, most: number): number | null {
  const value = text.trim() === '' ? NaN : Number(text);
  return value >= least && value <= most ? value : null;
}

function whole(text: string, least: number, most: number): number | null {
  const value = within(text, least, most);
  return value !== null && Number.isInteger(value) ? value : null;
}

/** One for the window: what was asked is there again after another screen was looked at. */
export const trial = new Trial();
