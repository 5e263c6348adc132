import { findBinary } from '@opencode-manager/core';

const { protocol } = await findBinary();

/** Whether the tests run against opencode 2 (`OPENCODE_BIN`); without that, against the one of the lockfile. */
export const isV2: boolean = protocol === 'v2';

/** What the tested opencode does, of what each of the two does. */
export const by = <Value>({ v1, v2 }: { readonly v1: Value; readonly v2: Value }): Value => (isV2 ? v2 : v1);
