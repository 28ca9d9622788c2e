/** @file Options that say what lies between this machine and others. They go before the settings of a site's folder. */

import { resolve } from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';
import { createNetwork } from '../../core/network/network.ts';
import type { Network } from '../../core/network/network.ts';
import type { NetworkSettings } from '../../core/network/settings.ts';

export function addNetworkOptions(command: Command): Command {
  return command
    .option(
      '--proxy <address>',
      'http://host:port or https://host:port of a proxy, or none; without it HTTPS_PROXY, HTTP_PROXY and NO_PROXY count',
    )
    .option('--proxy-script <place>', 'file or address of a proxy script (PAC)')
    .option('--proxy-user <name>', 'who asks the proxy; the password comes from TRIBUTARY_PROXY_PASSWORD')
    .option('--certificates <file>', 'PEM file with root certificates of the institution');
}

export const networkOptions = z.object({
  proxy: z.string().optional(),
  proxyScript: z.string().optional(),
  proxyUser: z.string().optional(),
  certificates: z.string().optional(),
});

/** What was said, as changes of the settings. */
export function networkChanges(options: z.output<typeof networkOptions>): Partial<NetworkSettings> {
  const { proxy, proxyScript: script, proxyUser, certificates } = options;
  return {
    ...(script !== undefined && {
      proxy: 'script',
      proxyScript: /^https?:/.test(script) ? script : resolve(script),
    }),
    ...(proxy !== undefined && (proxy === 'none' ? { proxy } : { proxy: 'address', proxyAddress: proxy })),
    ...(proxyUser !== undefined && { proxyUser }),
    ...(certificates !== undefined && { certificates: resolve(certificates) }),
  };
}

/** The network of a command that knows of no site's settings. */
export function networkOfOptions(options: z.output<typeof networkOptions>): Network {
  const proxyPassword = process.env['TRIBUTARY_PROXY_PASSWORD'] ?? null;
  return createNetwork().with({ proxyPassword, ...networkChanges(options) });
}
