/** @file The form of a plan, out of the JSON Schema of plans: which fields there are and what each may be. */

import type { Input } from '../../bridge/types.ts';

/** A plan as it is being written: what is left out has its default. */
export type PlanDraft = Input<'hub.plan.check'>['plan'];
export type Value = PlanDraft[string];

/** As much of JSON Schema as plans use. */
export interface Schema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly oneOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
}

export interface FormField {
  /** Such as `training.steps`. */
  readonly path: string;
  /**
   * `choice` is one of `options`. `either` is an object of one field, one of `options`, or nothing. `listed` is a word
   * for all or a list of `options`, `words` a list of any words. `group` is fields that are given together or not at
   * all; they follow it. `structure` is too rich for a form.
   */
  readonly kind:
    | 'text'
    | 'number'
    | 'switch'
    | 'choice'
    | 'strategy'
    | 'either'
    | 'listed'
    | 'words'
    | 'group'
    | 'structure';
  readonly description: string;
  /** What it is where nothing is said; undefined where it is then absent. */
  readonly fallback: unknown;
  readonly options: readonly string[];
}

export interface Section {
  readonly name: 'general' | 'training' | 'federation' | 'adapter' | 'evaluation' | 'data';
  /** What most plans say. */
  readonly fields: readonly FormField[];
  /** The rest. */
  readonly more: readonly FormField[];
}

const ESSENTIAL: ReadonlySet<string> = new Set([
  ...['name', 'model', 'objective', 'evaluation', 'data'],
  ...['steps', 'batchSize', 'maxLength', 'learningRate'].map((name) => `training.${name}`),
  ...['strategy', 'rounds', 'minSites', 'deadline', 'codec'].map((name) => `federation.${name}`),
  ...['rank', 'alpha', 'variant'].map((name) => `adapter.${name}`),
]);

/** Whether a field or what it lies in belongs to what most plans say. */
function isEssential(path: string): boolean {
  const parts = path.split('.');
  return parts.some((_, index) => ESSENTIAL.has(parts.slice(0, index + 1).join('.')));
}

/** The sections of the form, with the fields that the plan as it is now has room for. */
export function sectionsOf(schema: Schema, plan: PlanDraft): Section[] {
  const { name, model, objective, seed, training, federation, adapter, evaluation, personal, data } =
    schema.properties ?? {};
  const general = Object.entries({ name, model, objective, seed }).flatMap(([key, each]) =>
    fieldsOf(each, key, plan),
  );
  const within = (parent: Schema | undefined, path: string): FormField[] =>
    Object.entries(parent?.properties ?? {}).flatMap(([key, each]) => fieldsOf(each, `${path}.${key}`, plan));
  const all: [Section['name'], FormField[]][] = [
    ['general', general],
    ['training', [...within(training, 'training'), ...fieldsOf(personal, 'personal', plan)]],
    ['federation', within(federation, 'federation')],
    ['adapter', within(adapter, 'adapter')],
    ['evaluation', fieldsOf(evaluation, 'evaluation', plan)],
    ['data', fieldsOf(data, 'data', plan)],
  ];
  return all.map(([section, fields]) => ({
    name: section,
    fields: fields.filter(({ path }) => isEssential(path)),
    more: fields.filter(({ path }) => !isEssential(path)),
  }));
}

/** A field, and those that follow from its value. */
function fieldsOf(schema: Schema | undefined, path: string, plan: PlanDraft): FormField[] {
  if (schema === undefined) return [];
  const field = (kind: FormField['kind'], options: readonly string[] = []): FormField => ({
    ...{ path, kind, options },
    description: schema.description ?? '',
    fallback: schema.default,
  });
  const inner = (parent: Schema | undefined): FormField[] =>
    Object.entries(parent?.properties ?? {})
      .filter(([, each]) => each.const === undefined)
      .flatMap(([key, each]) => fieldsOf(each, `${path}.${key}`, plan));
  const value = valueAt(plan, path);
  if (schema.oneOf !== undefined) {
    const names = schema.oneOf.map(nameOf);
    const chosen = isObject(value) ? value['name'] : isObject(schema.default) ? schema.default['name'] : null;
    return [field('strategy', names), ...inner(schema.oneOf.find((each) => nameOf(each) === chosen))];
  }
  if (schema.anyOf !== undefined) {
    const list = schema.anyOf.find(({ type }) => type === 'array');
    if (list !== undefined) return [field('listed', list.items?.enum)];
    if (schema.anyOf.some(({ type }) => type === 'string')) return [field('text')];
    const keys = schema.anyOf.map(({ properties = {} }) => Object.keys(properties)[0]);
    const chosen = schema.anyOf.find((_, index) => isObject(value) && keys[index] in value);
    return [field('either', keys), ...inner(chosen)];
  }
  if (schema.enum !== undefined) return [field('choice', schema.enum)];
  switch (schema.type) {
    case 'object':
      if (schema.properties === undefined) return [field('structure')];
      return [field('group'), ...(isObject(value) ? inner(schema) : [])];
    case 'array':
      return [field('words')];
    case 'integer':
    case 'number':
      return [field('number')];
    case 'boolean':
      return [field('switch')];
    default:
      return [field('text')];
  }
}

function nameOf({ properties }: Schema): string {
  return String(properties?.['name']?.const);
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What a plan says at a path; undefined where it says nothing. */
export function valueAt(plan: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((value, key) => (isObject(value) ? value[key] : undefined), plan);
}

/** The plan with another value at a path; undefined leaves the field to its default. */
export function withValue(plan: PlanDraft, path: string, value: Value | undefined): PlanDraft {
  const [key, ...rest] = path.split('.');
  const { [key]: before, ...others } = plan;
  if (rest.length === 0) return value === undefined ? others : { ...plan, [key]: value };
  const inner = isDraft(before) ? before : {};
  return { ...plan, [key]: withValue(inner, rest.join('.'), value) };
}

function isDraft(value: Value | undefined): value is PlanDraft {
  return isObject(value);
}

/** What was typed into a field of numbers: nothing is the default, and what is no number is for the hub to refuse. */
export function typedNumber(text: string): Value | undefined {
  const trimmed = text.trim();
  if (trimmed === '') return undefined;
  const number = Number(trimmed);
  return Number.isFinite(number) ? number : trimmed;
}

/** What was typed into a field of words. */
export function typedWords(text: string): Value | undefined {
  const words = text.split(/[,，]/).flatMap((word) => (word.trim() === '' ? [] : [word.trim()]));
  return words.length === 0 ? undefined : words;
}

/** A value as it stands in a field. */
export function shown(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'string') return value;
  if (Array.isArray(value)) return value.join(', ');
  return JSON.stringify(value);
}
