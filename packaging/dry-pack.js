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
 * @param systems such as `linux-x64`, platform and processor as Node names them
 * @param out a new folder
 * @returns by system, the folder with `app.asar`, `app.asar.unpacked` and the extra resources
 */
export async function dryPack(root, systems, out) {
  const packager = new DryPackager({ projectDir: root, publish: 'never' });
  await packager.validateConfig();
  packager._appInfo = new AppInfo(packager, null);
  const resources = {};
  for (const system of systems) {
    const [platform, arch] = system.split('-');
    const helper = await packager.createHelper(PLATFORMS[platform]);
    const appOutDir = join(out, system);
    await helper.doPack({
      ...{ appOutDir, arch: Arch[arch], platformName: platform, targets: [] },
      outDir: join(root, packager.config.directories.output),
      platformSpecificBuildOptions: helper.platformSpecificBuildOptions,
      options: { sign: false, disableFuses: true, disableAsarIntegrity: true },
    });
    resources[system] = helper.getResourcesDir(appOutDir);
  }
  return resources;
}
