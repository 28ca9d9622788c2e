/** @file What a person or the machine's owner says of the network between this machine and others. */

import { z } from 'zod';

export const networkShape = z.strictObject({
  /**
   * Where the proxy comes from: the variables HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, nowhere, one address, or
   * the institution's script (a PAC file).
   */
  proxy: z.enum(['environment', 'none', 'address', 'script']),
  /** `http://host:port` or `https://host:port`, for `address`. */
  proxyAddress: z.string().nullable(),
  /** A file, or an http or https address, for `script`. */
  proxyScript: z.string().nullable(),
  /** What the proxy asks for; variables of the environment bring their own. */
  proxyUser: z.string().nullable(),
  proxyPassword: z.string().nullable(),
  /** PEM file with root certificates of the institution, beside those of the system. */
  certificates: z.string().nullable(),
});
export type NetworkSettings = Readonly<z.infer<typeof networkShape>>;

/** What holds where nothing was said. */
export const DEFAULT_NETWORK: NetworkSettings = {
  proxy: 'environment',
  proxyAddress: null,
  proxyScript: null,
  proxyUser: null,
  proxyPassword: null,
  certificates: null,
};
