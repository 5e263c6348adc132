import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { poolMachine, serverMachine, sessionMachine } from '../../src/machines/index.ts';
import { mermaidOf } from '../support/mermaid.ts';

test.each([sessionMachine, poolMachine, serverMachine])('the README shows the $id machine as it is', (machine) => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const diagrams = [...readme.matchAll(/```mermaid\n([\s\S]*?)\n```/g)].map(([, diagram]) => diagram);
  expect(diagrams).toContain(mermaidOf(machine));
});
