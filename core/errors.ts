/** @file The one table of error codes. Every failure a person can meet has a row here. */

interface ErrorRow {
  /** What to do about it, one or two sentences. */
  hint: string;
  /** The same for windows, where the hint speaks of the command line. */
  window?: string;
  /** Whether the same action may succeed later without a change (a network that is down, a full disk). */
  retryable?: true;
  /** Exit status of the command line; 1 when absent, 2 for wrong usage, 3 for refused by policy. */
  exit?: 2 | 3;
}

const rows = {
  'internal.unexpected': { hint: 'Please report it with the details from the log.' },
  'usage.invalid': { hint: 'Run the command with --help to see its options.', exit: 2 },
  'file.not-found': { hint: 'Check the path and that you may read it.' },
  'file.not-allowed': { hint: 'Change the permissions, or choose another place.' },
  'file.wrong-kind': { hint: 'Name a file where a file is meant, a folder where a folder is meant.' },
  'disk.full': {
    hint: 'Free some space on that disk and run the same command again.',
    window: 'Free some space on that disk and try again.',
    retryable: true,
  },

  'model.not-found': {
    hint: 'Check the path, or run `tributary models list` for the names in the catalogue.',
    window: 'Fetch the model in the settings, or check its path there.',
  },
  'model.not-a-model': { hint: 'Name a .gguf file or a folder with config.json and model.safetensors.' },
  'model.cut-short': { hint: 'The file is not complete. Fetch or copy it again.' },
  'model.damaged': { hint: 'The file contradicts itself. Fetch or copy it again.' },
  'model.hash-mismatch': {
    hint: 'The file is not the one that was asked for. Delete it and fetch it again.',
  },
  'model.unsupported-architecture': { hint: 'Choose a model of the Llama, Mistral, Qwen2 or Qwen3 family.' },
  'model.unsupported-tensor-type': {
    hint: 'Choose a file with F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K, Q5_K or Q6_K tensors.',
  },
  'model.unsupported-tokenizer': { hint: 'Choose a model with a byte-level BPE or SentencePiece tokenizer.' },
  'model.tensor-missing': { hint: 'The file holds another model than its description says. Fetch it again.' },
  'model.tensor-shape': { hint: 'The file holds another model than its description says. Fetch it again.' },
  'model.context-length': {
    hint: 'Shorten the text, or lower the longest length (--max-length).',
    window: 'Shorten the text, or choose a shorter longest example.',
  },
  'model.chat-template': { hint: 'Use another prompt template, such as alpaca, or other messages.' },
  'model.not-reachable': { hint: 'Connect to the internet, or put the file there by hand.', retryable: true },

  'internal.not-built': { hint: 'Run `npm run build` in the folder of the project.' },
  'demo.process-ended': { hint: 'Look into hub.log and site.log in the folder of the demonstration.' },
  'demo.run-ended': { hint: 'Look into hub.log and site.log in the folder of the demonstration.' },
  'demo.folder-in-use': { hint: 'Name an empty or new folder with --dir.', exit: 2 },
  'engine.crashed': {
    hint: 'Train with less memory (--batch, --max-length), or at --precision int4.',
    window: 'Set a limit on the memory for training in the settings, or shorten the examples.',
    retryable: true,
  },
  'training.stopped': {
    hint: 'Start it again when you want it to go on.',
    window: 'Start it again when you want it to go on.',
    retryable: true,
  },
  'training.not-finite': { hint: 'Lower the learning rate, or look for damaged rows in the data.' },
  'training.full-weights': {
    hint: 'Train an adapter instead, or all weights with --objective sft and --precision f32.',
    window: 'Train an adapter instead.',
    exit: 2,
  },
  'checkpoint.none': {
    hint: 'Name the folder of --checkpoints before, or leave out --resume to begin anew.',
  },
  'checkpoint.damaged': { hint: 'Leave out --resume and name a new folder to begin anew.' },
  'checkpoint.other-training': {
    hint: 'Repeat the command with the same data and options, or begin anew in another folder.',
  },
  'checkpoint.folder-used': { hint: 'Go on with --resume, or name another folder.', exit: 2 },
  'template.none': {
    hint: 'Choose --template alpaca or vicuna.',
    window: 'Choose the template alpaca or vicuna.',
  },
  'engine.precision-unavailable': {
    hint: 'Choose --precision f32; int4 needs a model file with four-bit weights, and int8 the CPU.',
    window: 'Choose another model: int4 needs a file with four-bit weights.',
  },
  'engine.out-of-memory': {
    hint: 'Shorten the examples (--max-length), lower the memory limit (--memory-limit), or choose a smaller model.',
    window: 'Close other programs, lower the memory limit in the settings, or choose a smaller model.',
  },
  'engine.device-unavailable': {
    hint: 'Choose --device auto or cpu, or install the driver of the device; `tributary doctor` says what works.',
    window:
      'Choose the processor or the automatic choice in the settings, or install the driver of the device.',
  },
  'adapter.not-found': { hint: 'Name a folder with adapter_config.json and adapter_model.safetensors.' },
  'adapter.damaged': { hint: 'Copy the adapter folder again from where it was written.' },
  'adapter.unsupported': { hint: 'Use a plain LoRA adapter, as PEFT writes it by default.' },
  'adapter.target-unknown': { hint: 'Name linears of the model, or write "all-linear".' },
  'adapter.other-base': { hint: 'Load the adapter on the model it was trained on.' },

  'results.unknown': { hint: 'It was deleted, or belongs to another folder. Read the list again.' },
  'results.no-model': { hint: 'Fetch the model, or name its path in the settings of the window.' },

  'export.unavailable': {
    hint: 'Export it as `merged`, which llama.cpp’s own converter reads.',
    window: 'Export the whole model as safetensors, which llama.cpp’s own converter reads.',
  },
  'export.not-empty': { hint: 'Choose a folder that does not exist yet, or an empty one.' },
  'export.no-base': {
    hint: 'Name the model it was trained on with --model.',
    window: 'Fetch the model it was trained on in the settings.',
    exit: 2,
  },

  'wire.bad-message': { hint: 'Install the same version of Tributary at the hub and at the site.' },
  'wire.not-allowed': { hint: 'The other side is faulty or not what it claims to be. Look at its log.' },
  'wire.version': { hint: 'Update the older side; its members, keys and invitations stay valid.' },
  'wire.refused': { hint: 'The reason comes from the other side. Ask who runs it.' },
  'wire.closed': { hint: 'Nothing is lost: it connects again and goes on by itself.', retryable: true },
  'wire.dead-peer': { hint: 'Nothing is lost: it connects again and goes on by itself.', retryable: true },

  'noise.failed': {
    hint: 'The message was altered on its way or made with other keys. Check the network between.',
  },
  'noise.bad-key': { hint: 'A key of the other side is not valid. Ask for a new invitation.' },
  'noise.exhausted': { hint: 'The connection is renewed with fresh keys.', retryable: true },

  'identity.damaged': { hint: 'Restore the key files from a copy, or start again in a new folder.' },
  'identity.bad-signature': {
    hint: 'The statement was altered or signed by someone else. Ask the coordinator.',
  },
  'invitation.garbled': { hint: 'Copy the whole line, from tributary1. to its end, and paste it again.' },
  'invitation.unknown': {
    hint: 'It comes from another hub or another folder. Ask the coordinator for a new one.',
  },
  'invitation.expired': { hint: 'Ask the coordinator for a new invitation.' },
  'invitation.used': { hint: 'An invitation admits one site once. Ask the coordinator for a new one.' },
  'roster.bad-signature': { hint: 'The list of members is not the one the hub signed. Ask the coordinator.' },
  'roster.rolled-back': {
    hint: 'The hub shows an older list of members than before. Ask the coordinator why.',
  },

  'transfer.corrupt': { hint: 'The damaged part is fetched again.', retryable: true },
  'transfer.refused': { hint: 'The other side does not offer this blob, or it is larger than allowed.' },
  'transfer.too-large': { hint: 'Raise the limit on blobs, or lower the rank of the adapter in the plan.' },

  'bridge.unknown-request': { hint: 'Close the window and open it again: it belongs to another version.' },
  'bridge.address-in-use': {
    hint: 'Leave out --port to take a free one, or stop the program that listens there.',
    window: 'Choose another port for the window, or stop the program that listens there.',
  },
  'bridge.bad-input': { hint: 'Close the window and open it again; if it happens again, report it.' },
  'bridge.unknown-task': { hint: 'Nothing has to be done: it has ended.' },

  'settings.fixed': { hint: 'Ask whoever looks after this machine.', exit: 3 },
  'settings.damaged': { hint: 'Delete that file: it holds what was chosen in the window and nothing else.' },

  'folder.locked': { hint: 'Stop the process that uses it, or choose another folder.' },
  'folder.not-running': {
    hint: 'Start it with the start command, then ask again.',
    window: 'Open the program of that folder, then try again.',
    retryable: true,
  },
  'database.future': { hint: 'Update Tributary: a newer version has written this database.' },
  'backup.exists': { hint: 'Name a folder that does not exist yet.', exit: 2 },
  'backup.not-there': { hint: 'Name a folder that `tributary hub backup` has written.' },
  'backup.damaged': { hint: 'Use another backup; nothing was restored from this one.' },
  'database.damaged': { hint: 'Restore the folder from a copy.' },

  'data.broken-line': {
    hint: 'Correct that line, or repeat with --skip-bad to leave such lines out and count them.',
    window: 'Correct that line, or have broken rows left out and counted.',
  },
  'data.row-too-long': {
    hint: 'Split the row, or repeat with --skip-bad to leave such rows out and count them.',
    window: 'Split the row, or have broken rows left out and counted.',
  },
  'data.empty': {
    hint: 'Give a JSONL file with at least one complete row; the README shows the accepted forms.',
  },
  'data.wrong-kind': { hint: 'Approve the run with a dataset of the kind that its objective needs.' },
  'data.contract': {
    hint: 'Bring the rows into the form that the plan names, import them as another dataset and approve with that.',
    exit: 3,
  },
  'data.encoding': {
    hint: 'Choose another encoding, or save the file as UTF-8 and take that.',
  },
  'data.unknown-format': { hint: 'Save the rows as CSV, TSV, JSON, JSON Lines or Parquet.' },
  'data.broken-file': {
    hint: 'Write the file again where it comes from, or choose its format and delimiter.',
  },
  'data.parquet-codec': { hint: 'Write the file again, compressed with zstd, snappy or gzip or not at all.' },
  'data.file-changed': {
    hint: 'Nothing was kept. Import the file again when nobody writes to it.',
    retryable: true,
  },
  'data.unknown-set': {
    hint: 'See the names with `tributary site data fetch`.',
    window: 'Choose one of the list.',
    exit: 2,
  },
  'data.not-reachable': { hint: 'Connect to the internet, or put the file there by hand.', retryable: true },
  'data.other-hash': { hint: 'The file is not the one that was asked for. Delete it and fetch it again.' },
  'data.damaged-memory': { hint: 'Delete that file to trust the datasets anew at their next use.' },
  'data.all-truncated': {
    hint: 'Raise --max-length, or shorten the prompts so that the answers fit.',
    window: 'Shorten the prompts so that the answers fit, or choose a larger longest example.',
  },

  'vault.dataset-exists': { hint: 'Choose another name, or remove that dataset first.' },
  'vault.unknown-dataset': {
    hint: 'See the names with `tributary site data list`.',
    window: 'Connect a dataset first, or choose another.',
  },
  'vault.bad-name': { hint: 'Use letters, digits, dots, dashes and underscores, 64 at most.', exit: 2 },
  'vault.bad-map': {
    hint: 'Write --map instruction=question,response=answer.',
    window: 'Say which columns are what.',
    exit: 2,
  },
  'vault.no-mapping': {
    hint: 'Say which columns are what, such as --map instruction=question,response=answer.',
    window: 'Say which columns are what.',
    exit: 2,
  },
  'vault.bad-split': { hint: 'Give shares from 0 to 1 that leave some rows for training.', exit: 2 },
  'window.crashed': { hint: 'Nothing is lost: the site runs outside the window, and training went on.' },
  'secrets.sealed': {
    hint: 'Start the desktop program on this folder, and ask while it runs.',
    window: 'Open this folder with the desktop program.',
  },
  'secrets.unreadable': {
    hint: 'Sign in as the person who has sealed the keys, unlock the keychain of this system, and try again. Keys of a keychain that was reset are lost: restore the folder and its keychain from a copy, or start again in a new folder.',
    retryable: true,
  },
  'vault.wrong-key': { hint: 'Restore the key that belongs to this vault from a copy of the folder.' },
  'vault.no-key': { hint: 'Restore the key from a copy: without it the rows cannot be read.' },
  'vault.damaged-key': { hint: 'Restore the key from a copy: without it the rows cannot be read.' },
  'vault.damaged': { hint: 'Restore the folder from a copy, or withdraw the dataset and import it again.' },
  'vault.busy': { hint: 'Wait until the other import has ended and repeat yours.', retryable: true },

  'task.unknown': { hint: 'See the names with `tributary evaluate --list`.', exit: 2 },
  'task.invalid': { hint: 'Correct the task’s file; resources/tasks has examples.', exit: 2 },
  'task.same-first-token': { hint: 'Choose by sum or by mean in the task’s file.' },

  'template.unknown': { hint: 'Use chat, alpaca or vicuna.', exit: 2 },
  'template.rewrites-turns': { hint: 'Use the template alpaca or vicuna with this model.' },

  'plan.invalid': { hint: 'Correct the fields named above; all others have defaults.', exit: 2 },
  'plan.unsupported': { hint: 'Choose one of the values named above.', exit: 2 },
  'plan.hash-mismatch': { hint: 'Ask the coordinator to propose the run again.' },

  'simulation.too-few-rows': {
    hint: 'Choose fewer --sites, another --partition, or data with more rows.',
    exit: 2,
  },
  'simulation.too-few-sites': { hint: 'Raise --sites, or lower federation.minSites in the plan.', exit: 2 },
  'simulation.bad-strategy': {
    hint: 'Export { name, client, create } as the file’s default, as in resources/strategies/slow-average.ts.',
    exit: 2,
  },
  'simulation.bad-faults': { hint: 'Correct that field; the README shows a list of faults.', exit: 2 },
  'simulation.violated': {
    hint: 'Play that seed alone with --fault-seed to see what happened, and report it.',
  },
  'simulation.no-label': { hint: 'Name with --by a field that every row has, or leave it out.', exit: 2 },

  'run.unknown': {
    hint: 'See the names with `tributary hub runs`.',
    window: 'Choose one of the runs that are listed.',
  },
  'rehearsal.unknown': {
    hint: 'Rehearse the plan again: a hub that is started anew has forgotten what was measured before.',
  },
  'run.not-open': { hint: 'Nothing has to be done: the run has gone on or has ended.' },
  'run.not-paused': { hint: 'Nothing has to be done: the run goes on.' },
  'run.round-gone': {
    hint: 'Name one of those rounds, or leave out --round for the adapter of the run.',
    window: 'Choose one of those rounds, or the adapter of the run.',
  },
  'run.no-adapter': { hint: 'Only a run that has completed has one.', retryable: true },

  'ledger.not-found': { hint: 'Name an exported ledger file, or the folder of a hub or a site.' },
  'ledger.disagreement': {
    hint: 'Compare exports of both ledgers with `tributary audit verify`: one of them was changed.',
    window: 'Export both ledgers and compare them: one of them was changed.',
  },
  'ledger.broken-witness': { hint: 'Ask the site for a fresh export of its ledger.' },

  'state.damaged': { hint: 'Restore the folder from a copy.' },
  'update.already-committed': { hint: 'Only the first update of a site counts in a round.' },
  'update.not-approved': { hint: 'Approve the plan of the run first.' },
  'update.not-asked': { hint: 'Nothing has to be done: the round asks other sites, drawn by lot.' },
  'update.examples': { hint: 'A site may not claim more examples than it approved the plan with.' },
  'update.damaged': { hint: 'Start the site again; it sends the update anew.' },
  'update.tensor-mismatch': { hint: 'Check that the site uses the model and the adapter of the plan.' },
  'update.not-finite': {
    hint: 'Lower training.learningRate in the plan, or look for broken rows at that site.',
  },

  'hub.unreachable': {
    hint: 'Check the network and the address. A site that is running keeps trying by itself.',
    retryable: true,
  },
  'hub.certificate': {
    hint: 'Name the institution’s root certificates with --certificates, or let the policy of this site do without (uncheckedCertificates): the hub proves its own key in any case.',
    window:
      'Choose the institution’s root certificates in the settings, or allow hubs without a checked certificate in the policy: the hub proves its own key in any case.',
  },
  'proxy.unreachable': {
    hint: 'Check the network, and the address of the proxy. A site that is running keeps trying by itself.',
    retryable: true,
  },
  'proxy.credentials': {
    hint: 'Correct the user name and the password of the proxy; they are not tried again for ten minutes.',
  },
  'proxy.refused': { hint: 'Ask whoever looks after the network to let this machine reach that address.' },
  'proxy.certificate': {
    hint: 'Name the institution’s root certificates, as whoever looks after the network has them.',
  },
  'proxy.script': { hint: 'Check the address of the proxy script, or name the proxy itself.' },
  'proxy.unsupported': { hint: 'Name a proxy for http or https; SOCKS is not supported.' },
  'network.certificates': { hint: 'Name a PEM file with the institution’s root certificates.' },
  'hub.exists': { hint: 'Choose another folder, or use the hub that is there.' },
  'hub.address-in-use': {
    hint: 'Stop that program, or choose another --port.',
    window: 'Stop that program, or choose another port.',
  },
  'hub.no-address': {
    hint: 'Say with `tributary hub init --url` how sites can reach this hub.',
    window: 'Whoever set this hub up has to say how sites can reach it.',
  },
  'hub.not-there': {
    hint: 'Make one with `tributary hub init`, or name its folder with --dir.',
    window: 'Choose the folder of a hub.',
  },
  'hub.wrong-key': {
    hint: 'This is not the hub of the invitation, or something between alters the connection. Ask the coordinator to compare fingerprints.',
  },
  'hub.rotating': {
    hint: 'Once every site has been here, repeat with --finish; then the keys may change again.',
    window: 'Once every site has been here, end the change of keys; then they may change again.',
  },
  'peer.disk-full': {
    hint: 'Space has to be freed on the disk of the other side; it goes on by itself then.',
    retryable: true,
  },
  'hub.busy': { hint: 'It tries again by itself.', retryable: true },
  'site.unknown': { hint: 'Join the federation with an invitation first.' },
  'site.revoked': {
    hint: 'The coordinator has ended the membership of this site. Ask for a new invitation.',
  },
  'site.excluded': {
    hint: 'Look for the cause in the site’s log, then approve the run again with `tributary site approve --run`.',
    window: 'Look for the cause in the diagnostics, then approve the run again.',
  },
  'site.name-taken': { hint: 'Choose another name for this site.' },
  'site.replaced': { hint: 'Make sure that only one copy of this site’s folder is in use.', retryable: true },

  'blob.missing': { hint: 'It is fetched or made again where that is possible.' },
  'blob.damaged': { hint: 'The file on disk is not what its name says. Check the disk and delete the file.' },
  'transfer.stalled': { hint: 'Nothing is lost: it goes on where it stopped.', retryable: true },

  'policy.invalid': { hint: 'Correct the policy file; until then nothing is allowed.', exit: 3 },
  'policy.objective': { hint: 'Widen the site’s policy, or ask the coordinator for another plan.', exit: 3 },
  'policy.mode': { hint: 'Widen the site’s policy, or ask the coordinator for another plan.', exit: 3 },
  'policy.model': { hint: 'Add the model’s SHA-256 to the site’s policy, or decline the run.', exit: 3 },
  'policy.hub': {
    hint: 'Ask whoever looks after this machine, or the coordinator for another address.',
    exit: 3,
  },
  'policy.rounds': { hint: 'Widen the site’s policy, or ask the coordinator for another plan.', exit: 3 },
  'policy.steps': { hint: 'Widen the site’s policy, or ask the coordinator for another plan.', exit: 3 },
  'policy.min-sites': { hint: 'Widen the site’s policy, or ask the coordinator for another plan.', exit: 3 },
  'policy.dataset': { hint: 'Add the dataset to the site’s policy, or approve another one.', exit: 3 },
  'policy.examples': { hint: 'Import more rows, or lower minExamples in the site’s policy.', exit: 3 },
  'policy.message': { hint: 'Nothing was sent. The site’s policy says what may leave.', exit: 3 },
  'policy.update-size': { hint: 'Raise maxUpdateBytes in the site’s policy, or decline the run.', exit: 3 },
  'policy.rehearsal': {
    hint: 'Allow rehearsals in the site’s policy, or let the coordinator propose the run without one.',
    exit: 3,
  },
  'policy.folder-size': {
    hint: 'Withdraw a dataset or delete adapters, or raise maxFolderBytes in the site’s policy.',
    exit: 3,
  },
  'policy.no-approval': {
    hint: 'Approve the run with `tributary site approve`.',
    window: 'Approve the run if it shall train here.',
    exit: 3,
  },
  'policy.deviation': {
    hint: 'The hub asks for something else than the plan says. Nothing was done. Ask the coordinator.',
    exit: 3,
  },
  'site.not-joined': {
    hint: 'Join a federation with `tributary site join INVITATION` first.',
    window: 'Join a federation with an invitation first.',
  },
  'site.unknown-federation': {
    hint: 'Look up its name with `tributary site status`.',
    window: 'Choose one of the federations that are shown.',
  },
  'site.several-federations': {
    hint: 'Name the one that is meant with --federation.',
    window: 'Choose the federation that is meant.',
    exit: 2,
  },
  'site.name-given': {
    hint: 'Leave out --name, or ask the coordinator for an invitation with your name.',
    window: 'Take the name of the invitation, or ask the coordinator for one with your name.',
  },
  'site.no-name': { hint: 'Name this site with --name.', window: 'Give this site a name.', exit: 2 },
  'site.data-withdrawn': { hint: 'Approve the run with another dataset, or leave it declined.' },
  'site.unknown-run': {
    hint: 'See the runs with `tributary site status`.',
    window: 'Choose one of the runs that are listed.',
  },
  'site.superseded': { hint: 'Nothing has to be done: the federation has gone on.' },
  'site.update-refused': { hint: 'The run goes on without this update. The reason is the hub’s.' },
  'ledger.forked': { hint: 'The hub tells different sites different stories. Stop and ask the coordinator.' },
} satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof rows;

/** The table, typed so that every code has the same shape. */
export const ERRORS: Readonly<Record<ErrorCode, ErrorRow>> = rows;

/** Whether a code from outside is one of this table. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(rows, code);
}

/** An error for a person: `code` names the row, `message` says what happened, `hint` what to do. */
export class TributaryError extends Error {
  readonly code: ErrorCode;
  readonly hint: string;

  constructor(code: ErrorCode, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = 'TributaryError';
    this.code = code;
    this.hint = options.hint ?? ERRORS[code].hint;
  }

  /** What to do in a window, which has no command line. */
  get windowHint(): string {
    return ERRORS[this.code].window ?? this.hint;
  }

  get retryable(): boolean {
    return ERRORS[this.code].retryable === true;
  }

  get exitStatus(): number {
    return ERRORS[this.code].exit ?? 1;
  }
}

/** What the system's own codes mean, and how it is said of a path. */
const systemErrors: Readonly<Record<string, readonly [code: ErrorCode, say: (path: string) => string]>> = {
  ENOSPC: ['disk.full', (path) => `No space is left to write ${path}`],
  EDQUOT: ['disk.full', (path) => `The quota does not allow to write ${path}`],
  SQLITE_FULL: ['disk.full', () => 'No space is left for the database'],
  ENOENT: ['file.not-found', (path) => `There is no ${path}`],
  EACCES: ['file.not-allowed', (path) => `The system does not allow access to ${path}`],
  EPERM: ['file.not-allowed', (path) => `The system does not allow access to ${path}`],
  EROFS: ['file.not-allowed', (path) => `The disk of ${path} can only be read`],
  SQLITE_READONLY: ['file.not-allowed', () => 'The database can only be read'],
  SQLITE_CANTOPEN: ['file.not-allowed', () => 'The database cannot be opened'],
  EISDIR: ['file.wrong-kind', (path) => `${path} is a folder`],
  ENOTDIR: ['file.wrong-kind', (path) => `${path} is below a file`],
  EEXIST: ['file.wrong-kind', (path) => `${path} is there already`],
};

/** A copy names its destination beside its source. */
type SystemError = NodeJS.ErrnoException & { readonly dest?: string };

/** Normalises anything thrown at the one border where it is shown to a person or put on the wire. */
export function toTributaryError(thrown: unknown): TributaryError {
  if (thrown instanceof TributaryError) return thrown;
  if (thrown instanceof Error) {
    const { code: named = '', syscall, path, dest = path } = thrown as SystemError;
    // A folder that cannot be made for want of permission shows as one that is not there.
    const systemCode = named === 'ENOENT' && syscall === 'mkdir' ? 'EACCES' : named;
    if (!Object.hasOwn(systemErrors, systemCode)) {
      return new TributaryError('internal.unexpected', thrown.message, { cause: thrown });
    }
    const [code, say] = systemErrors[systemCode];
    return new TributaryError(code, `${say(dest ?? 'a file')}.`, { cause: thrown });
  }
  return new TributaryError('internal.unexpected', String(thrown));
}
