/** @file The type of an icon of the set that this application uses. */

import type { Component } from 'svelte';

/** A component of `@lucide/svelte/icons/…`. */
export type IconComponent = Component<{ size?: number | string; strokeWidth?: number | string }>;
