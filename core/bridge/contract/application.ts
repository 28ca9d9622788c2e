/** @file The window itself: what it belongs to, its settings, models, files and tasks. */

import { z } from 'zod';
import { count, done, name, nothing, path, problem, request, sha256, started } from './request.ts';
import { taskShape } from './task.ts';

/** What a person chose for the windows of this folder. Null leaves it to the system. */
export const settingsShape = z.strictObject({
  locale: z.enum(['en', 'zh-CN']).nullable(),
  theme: z.enum(['light', 'dark']).nullable(),
  /** Where to compute. */
  device: z.enum(['auto', 'cpu', 'webgpu', 'cuda', 'directml', 'coreml']),
  /** Threads of the engine; null takes all cores. */
  threads: z.int().min(1).max(1024).nullable(),
  /** Bytes that a training step may take; null sets no limit. */
  memoryLimit: z.int().min(100_000_000).nullable(),
  /** File or folder of a model that is not in the catalogue. */
  modelPath: path.nullable(),
  /** Keep the machine awake while it trains. */
  keepAwake: z.boolean(),
  /** Tell of a run's end outside the window. */
  notify: z.boolean(),
  /** Start the desktop program when the person signs in; off unless turned on. */
  startAtLogin: z.boolean(),
  /** How hubs are reached: as the environment says, straight, through one proxy, or as a proxy script decides. */
  proxy: z.enum(['environment', 'none', 'address', 'script']),
  /** Without credentials. */
  proxyAddress: z
    .url({ protocol: /^https?$/ })
    .refine((text) => new URL(text).username === '', 'holds credentials')
    .nullable(),
  /** File or address of a proxy script (PAC). */
  proxyScript: path.nullable(),
  proxyUser: z.string().min(1).max(200).nullable(),
  /** PEM file with the institution's root certificates. */
  certificates: path.nullable(),
  /** Look for updates of the program; off unless a person or the machine's owner turns it on. */
  updates: z.boolean(),
  /** Address of the institution's own feed of updates. */
  updateFeed: z.url({ protocol: /^https$/ }).nullable(),
});
export type Settings = z.infer<typeof settingsShape>;

const settingsAnswer = z.object({
  settings: settingsShape,
  /** Fields that the owner of the machine has set; they cannot be changed here. */
  fixed: z.array(z.string()),
  /** Whether a password for the proxy is kept; itself it is told to nobody. */
  hasProxyPassword: z.boolean(),
});

const modelShape = z.object({
  id: z.string(),
  /** For people. */
  name: z.string(),
  licence: z.string(),
  languages: z.array(z.string()),
  bytes: count,
  parameters: count,
  /** Null where the catalogue does not pin it. */
  sha256: sha256.nullable(),
  /** Whether its file lies whole on this machine. */
  present: z.boolean(),
  path: z.string().nullable(),
});

const listedFile = z.object({
  name: z.string(),
  path: z.string(),
  kind: z.enum(['folder', 'file']),
  bytes: count,
  /** Unix seconds. */
  modified: z.number(),
});

export const applicationRequests = {
  /** Answers always, also where the folder cannot be used: `stage` is `blocked` then and `problems` says why. */
  'app.state': request(
    nothing,
    z.object({
      role: z.enum(['site', 'hub']),
      /** Folder of this site or hub. */
      folder: z.string(),
      version: z.string(),
      /** `browser` has no file dialogs: use `files.list`. */
      surface: z.enum(['browser', 'desktop']),
      platform: z.string(),
      /** `welcome`: no federation yet. `member`: it has one. `blocked`: the folder cannot be used. */
      stage: z.enum(['welcome', 'member', 'blocked']),
      /** Of the site in its first federation. */
      site: z.string().nullable(),
      federation: z.string().nullable(),
      /** Of a site all of them, in the order in which it joined them. */
      federations: z.array(z.string()),
      settings: settingsShape,
      /** The model that comes with the program. */
      model: z.object({ id: z.string(), present: z.boolean(), bytes: count }),
      /** How the keys and the vault's key are kept: the system's keychain, or a file that the account alone may read. */
      secrets: z.enum(['keychain', 'file']),
      problems: z.array(problem),
    }),
  ),
  /** The invitation that a link `tributary://join/…` has brought, given once; on the desktop alone. */
  'app.link': request(nothing, z.object({ invitation: z.string().nullable() })),
  /** Tries again to open a folder that was blocked. */
  'app.retry': request(nothing, done),

  'settings.get': request(nothing, settingsAnswer),
  /** Changes the named fields. Fails with `settings.fixed` for one that the machine's owner has set. */
  'settings.set': request(z.strictObject({ settings: settingsShape.partial() }), settingsAnswer),

  /** Keeps the password of the proxy; null forgets it. */
  'settings.proxyPassword': request(
    z.strictObject({ password: z.string().min(1).max(1000).nullable() }),
    settingsAnswer,
  ),

  'models.list': request(nothing, z.object({ models: z.array(modelShape) })),
  /** A task of the kind `model`, counted in bytes; its result: `{path}`. */
  'models.fetch': request(z.strictObject({ model: name }), started),

  /** A folder of this machine; null is the person's home. Hidden entries are left out. */
  'files.list': request(
    z.strictObject({
      folder: path.nullable(),
      /** Endings such as `csv`; empty shows all files. */
      endings: z.array(z.string().max(20)).max(50).default([]),
    }),
    z.object({
      folder: z.string(),
      parent: z.string().nullable(),
      separator: z.string(),
      /** Places to begin at: home, drives, mounted disks. */
      places: z.array(z.object({ name: z.string(), path: z.string() })),
      entries: z.array(listedFile),
      /** Entries that are not shown, because there are too many. */
      more: count,
    }),
  ),
  /** The system's dialog, on the desktop alone; `path` is null when it was closed without a choice. */
  'files.choose': request(
    z.strictObject({
      kind: z.enum(['open', 'folder', 'save']),
      title: z.string().max(200).default(''),
      endings: z.array(z.string().max(20)).max(50).default([]),
      suggested: z.string().max(500).default(''),
    }),
    z.object({ path: z.string().nullable() }),
  ),
  /** Shows a file that this program has written in the system's file manager; on the desktop alone. */
  'files.reveal': request(z.strictObject({ path }), done),

  /** Tasks that run or ended lately; for a window that was opened in the middle. */
  'task.list': request(nothing, z.object({ tasks: z.array(taskShape) })),
  'task.cancel': request(z.strictObject({ task: name }), done),
};
