/** @file Answers about trying models side by side: one prompt, one seed, one answer after the other, and the vote. */

import { TributaryError } from '../../errors.ts';
import { siteAdapter, siteAdapters } from '../../site/adapters.ts';
import type { SiteAdapter } from '../../site/adapters.ts';
import type { TemplateName } from '../../training/templates.ts';
import { createWarmTrainer } from '../../training/warm.ts';
import type { CheckedInput, Output } from '../contract.ts';
import type { Handlers } from '../dispatch.ts';
import { BUNDLED_MODEL } from '../models.ts';
import type { SiteApplication } from './application.ts';
import { engineOptions, isOnThisMachine } from './compute.ts';

type Variant = Output<'try.models'>['variants'][number];

/** How a vote becomes a row: the fields of a preference pair. */
const VOTE_MAPPING = {
  kind: 'preference',
  fields: { prompt: 'prompt', chosen: 'chosen', rejected: 'rejected' },
} as const;

export function tryHandlers(application: SiteApplication): Handlers {
  const { settings, tasks, emit } = application;
  const warm = createWarmTrainer();
  void application.stopped.then(() => warm.close());
  const modelOf = ({ reference }: SiteAdapter): string | null => reference ?? settings.get().modelPath;

  return {
    'try.models': () => ({
      variants: variantsOf(siteAdapters(application.site().context), settings.get().modelPath),
    }),
    'try.generate': (asked) => {
      const { context } = application.site();
      const adapters = asked.variants.map(({ run }) => (run === null ? null : siteAdapter(context, run)));
      const stranger = adapters.find((adapter) => adapter !== null && modelOf(adapter) !== asked.model);
      if (stranger) {
        throw new TributaryError(
          'adapter.other-base',
          `${stranger.name} belongs to another model than ${asked.model}.`,
        );
      }
      if (!isOnThisMachine(asked.model)) {
        throw new TributaryError('results.no-model', `The model ${asked.model} is not on this machine.`);
      }
      const about = { kind: 'generate', subject: asked.model, unit: 'answers' } as const;
      const task = tasks.start(about, (reporter) =>
        warm.use(engineOptions(settings, asked.model), async (trainer) => {
          const answers: Record<string, unknown>[] = [];
          for (const [index, adapter] of adapters.entries()) {
            if (adapter === null) await trainer.call('setAdapter', null);
            else await trainer.call('loadAdapter', { folder: adapter.folder });
            const tell = (delta: string): void =>
              emit('tokens', { task: reporter.id, index, delta, end: false });
            const answer = await trainer.call('generate', requestOf(asked, templateOf(adapters)), {
              signal: reporter.signal,
              report: ({ delta }) => tell(delta),
            });
            const { text, tokens, tokensPerSecond, finish } = answer;
            emit('tokens', { task: reporter.id, index, delta: '', end: true, tokens, tokensPerSecond });
            reporter.progress({ done: index + 1, total: adapters.length });
            // What was written up to here has been told; the others are not begun.
            reporter.signal.throwIfAborted();
            answers.push({ run: adapter?.run ?? null, text, tokens, tokensPerSecond, finish });
          }
          return { answers };
        }),
      );
      return { task };
    },
    'try.vote': ({ prompt, chosen, rejected, dataset: to }) => {
      const { vault } = application.site().context;
      const pairs = rejected.map((worse) => ({ prompt, chosen, rejected: worse }));
      const { name, rows } = vault.append(pairs, { to, mapping: VOTE_MAPPING });
      emit('changed', { what: 'datasets' });
      return { dataset: name, rows };
    },
  };

  /** Every adapter whose model is here, and each of these models by itself, before the adapters on it. */
  function variantsOf(adapters: readonly SiteAdapter[], modelPath: string | null): Variant[] {
    const isOneOfSeveral = new Set(adapters.map(({ federation }) => federation ?? '')).size > 1;
    const titleOf = ({ name, federation }: SiteAdapter): string =>
      isOneOfSeveral && federation !== null ? `${name} (${federation})` : name;
    const usable = adapters.flatMap((adapter): Variant[] => {
      const model = modelOf(adapter);
      if (model === null || !isOnThisMachine(model)) return [];
      const variant = adapter.kind === 'federated' ? 'federated' : 'local';
      return [{ variant, run: adapter.run, title: titleOf(adapter), model, created: adapter.created }];
    });
    const bundled = [modelPath, BUNDLED_MODEL].filter((each) => each !== null && isOnThisMachine(each));
    const models = new Set([...usable.map(({ model }) => model), ...bundled.filter((each) => each !== null)]);
    return [...models].flatMap((model) => [
      { variant: 'base' as const, run: null, title: model, model, created: null },
      ...usable.filter((each) => each.model === model),
    ]);
  }
}

/** All variants read the prompt in one template, that in which the first of the adapters was trained. */
function templateOf(adapters: readonly (SiteAdapter | null)[]): TemplateName {
  return adapters.find((adapter) => adapter !== null)?.template ?? 'chat';
}

function requestOf(
  { prompt, maxTokens, temperature, seed }: CheckedInput<'try.generate'>,
  template: TemplateName,
) {
  const messages = [{ role: 'user' as const, content: prompt }];
  const sampling = { temperature, topK: 0, topP: 1 };
  return { ...sampling, messages, template, maxTokens, seed };
}
