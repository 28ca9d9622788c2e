/** @file Choosing files and folders. */

export const files = {
  path: 'Path on this machine',
  parent: 'Up',
  empty: 'This folder holds no folders.',
  nothing: (endings: string) => `Nothing here ends in ${endings}.`,
  more: (count: string) => `${count} more are not shown. Type the path.`,
  folderName: 'Name of the new folder',
  fileName: 'Name of the file',
  missingName: 'Name it first',
};
