/** @file Answers about what this site allows: its own policy, and the one of the machine's owner. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { toTributaryError } from '../../errors.ts';
import { POLICY_FILE } from '../../site/folder.ts';
import { DEFAULT_POLICY, policyShape, readPolicy } from '../../site/policy.ts';
import type { Policy } from '../../site/policy.ts';
import type { Problem } from '../contract/request.ts';
import type { Handlers } from '../dispatch.ts';
import { problemOf } from '../problem.ts';
import type { SiteApplication } from './application.ts';

export function privacyHandlers(application: SiteApplication, machinePolicy?: string): Handlers {
  const path = join(application.folder, POLICY_FILE);
  const machinePath = machinePolicy !== undefined && existsSync(machinePolicy) ? machinePolicy : null;
  return {
    'privacy.policy': () => {
      const problems: Problem[] = [];
      const read = (file: string): Policy => {
        try {
          return readPolicy(file);
        } catch (thrown) {
          problems.push(problemOf(toTributaryError(thrown)));
          return DEFAULT_POLICY;
        }
      };
      const policy = read(path);
      const machine = machinePath === null ? null : read(machinePath);
      return { policy, path, machine, machinePath, fields: fields(), budget: null, problems };
    },
    'privacy.setPolicy': async ({ policy }) => {
      const changed = await application.site().ask('policy', { set: policy });
      application.emit('changed', { what: 'runs' });
      return { policy: changed.policy };
    },
  };
}

const fieldShape = z.looseObject({ description: z.string().default(''), default: z.json().default(null) });
const schemaShape = z.object({ properties: z.record(z.string(), z.json()) });

/** Each field of the policy with its meaning and its JSON Schema. */
function fields() {
  const { properties } = schemaShape.parse(z.toJSONSchema(policyShape, { io: 'input' }));
  return Object.entries(properties)
    .filter(([name]) => name !== 'version')
    .map(([name, schema]) => {
      const { description: meaning, default: fallback } = fieldShape.parse(schema);
      return { name, meaning, fallback, schema };
    });
}
