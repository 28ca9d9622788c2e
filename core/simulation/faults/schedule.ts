/** @file Lets faults happen to a federation at their times. */

import { join } from 'node:path';
import { machine } from '../../machine.ts';
import type { LiveFederation } from './federation.ts';
import type { Fault } from './faults.ts';
import type { VirtualMachine } from './virtual-machine.ts';

/** Lets a fault begin, and end, at its time. */
export function schedule(
  fault: Fault,
  { federation, virtual, folder }: { federation: LiveFederation; virtual: VirtualMachine; folder: string },
): void {
  const milliseconds = 'seconds' in fault ? fault.seconds * 1000 : 0;
  const forAWhile = (begin: () => void, end: () => void): void => {
    begin();
    machine.startTimer(milliseconds, end);
  };
  const start = (): void => {
    switch (fault.kind) {
      case 'hub-crash':
        return federation.armHub({ ...fault, milliseconds });
      case 'site-crash':
        return federation.armSite(fault.site, { ...fault, milliseconds });
      case 'hub-stop':
        return forAWhile(
          () => void federation.stopHub(),
          () => void federation.startHub(),
        );
      case 'site-stop':
        return forAWhile(
          () => void federation.stopSite(fault.site),
          () => void federation.startSite(fault.site),
        );
      case 'clock':
        virtual.skew += fault.hours * 3_600_000;
        return;
      case 'disk-full': {
        const full = join(folder, fault.where);
        return forAWhile(
          () => void virtual.fullDisks.add(full),
          () => void virtual.fullDisks.delete(full),
        );
      }
      case 'slow-site':
      case 'garbage': {
        const trainer = federation.trainers.get(fault.site);
        if (trainer === undefined) return;
        if (fault.kind === 'garbage') {
          trainer.givesGarbage = true;
          return;
        }
        return forAWhile(
          () => (trainer.stepMilliseconds *= fault.factor),
          () => (trainer.stepMilliseconds /= fault.factor),
        );
      }
      default:
        return disturbLine(fault, federation, forAWhile);
    }
  };
  machine.startTimer(fault.at * 1000, start);
}

function disturbLine(
  fault: Extract<Fault, { kind: 'partition' | 'slow-line' | 'delay' | 'chunks' }>,
  { network }: LiveFederation,
  forAWhile: (begin: () => void, end: () => void) => void,
): void {
  const line = network.line(fault.site);
  const { delay, rate } = line;
  switch (fault.kind) {
    case 'partition':
      return forAWhile(
        () => {
          line.isCut = true;
          // Both ends find out by missing heartbeats.
          machine.startTimer(15_000, () => {
            if (line.isCut) network.drop(fault.site);
          });
        },
        () => {
          line.isCut = false;
          // What was under way is lost, so a connection that outlived the cut is of no use.
          network.drop(fault.site);
        },
      );
    case 'slow-line':
      return forAWhile(
        () => (line.rate = fault.rate),
        () => (line.rate = rate),
      );
    case 'delay':
      return forAWhile(
        () => (line.delay = fault.milliseconds),
        () => (line.delay = delay),
      );
    case 'chunks': {
      let left = fault.count;
      line.chunk = () => (left-- > 0 ? fault.what : 'arrives');
    }
  }
}
