/**
 * @file Packs the app as electron-builder does for a platform, with everything but Electron itself: the archive, what
 * lies unpacked beside it, and the extra resources. It shows what a package holds where Electron's zip is not at hand.
 */

import { join } from 'node:path';
import { AppInfo, Arch, Packager, Platform } from 'electron-builder';

/** Platforms by the names that Node has for them. */
const PLATFORMS = { linux: Platform.LINUX, darwin: Platform.MAC, win32: Platform.WINDOWS };

/** What electron-builder asks of Electron, where there is none. */
const withoutElectron = {
  name: 'electron',
  version: '0.0.0',
  distMacOsAppName: 'Tributary.app',
  isNpmRebuildRequired: false,
  prepareApplicationStageDirectory: () => Promise.resolve(),
};

class DryPackager extends Packager {
  get framework() {
    return withoutElectron;
  }

  /** Follows package.json files: `npm list` finds the same and takes seconds for each system. */
  getPackageManager() {
    return Promise.resolve('traversal');
  }
}

/**
 * @param root folder of the project, which has been built
 * @param platform and arch as Node names them
 * @param out a new folder
 * @returns the folder with `app.asar`, `app.asar.unpacked` and the extra resources
 */
export async function dryPack(root, { platform, arch, out }) {
  const packager = new DryPackager({ projectDir: root, publish: 'never' });
  await packager.validateConfig();
  packager._appInfo = new AppInfo(packager, null);
  const helper = await packager.createHelper(PLATFORMS[platform]);
  const appOutDir = join(out, `${platform}-${arch}`);
  await helper.doPack({
    outDir: join(root, packager.config.directories.output),
    appOutDir,
    platformName: platform,
    arch: Arch[arch],
    platformSpecificBuildOptions: helper.platformSpecificBuildOptions,
    targets: [],
    options: { sign: false, disableFuses: true, disableAsarIntegrity: true },
  });
  return platform === 'darwin'
    ? join(appOutDir, 'Tributary.app', 'Contents', 'Resources')
    : join(appOutDir, 'resources');
}
