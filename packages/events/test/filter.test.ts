import { protocolNamed } from '@opencode-manager/core/protocol';
import { describe, expect, test } from 'vitest';
import type { EventFilter, MonitorEvent } from '../src/index.ts';
import { compileFilter, PatternSet, wants } from '../src/router/filter.ts';
import { Router } from '../src/router/router.ts';
import { ListenerSubscription } from '../src/router/subscriptions.ts';
import { delta, idle, sealed } from './support/events.ts';

const protocol = protocolNamed('v1').stream;

const event = { sequence: 1, ...idle('s'), directory: '/srv/a' } as MonitorEvent;
const notice = { sequence: 2, type: 'stream.live', plane: 'lifecycle', generation: 1, replayed: 0 } as MonitorEvent;
const batched = (arrived: ReturnType<typeof idle>) => ({ sequence: 0, ...arrived });
const admits = (filter: EventFilter, candidate = event) => wants(compileFilter(filter), candidate);

describe('filters', () => {
  test.each<[EventFilter, boolean]>([
    [{}, true],
    [{ type: 'session.idle' }, true],
    [{ type: 'session.*' }, true],
    [{ type: '*.idle' }, true],
    [{ type: '*' }, true],
    [{ type: ['permission.*', 'session.idle'] }, true],
    [{ type: 'session' }, false],
    [{ type: 'session.idl?' }, false],
    [{ type: 'sessionXidle' }, false],
    [{ plane: 'lifecycle' }, true],
    [{ plane: 'stream' }, false],
    [{ directory: '/srv/a' }, true],
    [{ directory: '/srv/*' }, true],
    [{ directory: '/work' }, false],
    [{ directory: '/srv/a', type: 'message.*' }, false],
  ])('%j admits a session.idle of /srv/a: %s', (filter, expected) => {
    expect(admits(filter)).toBe(expected);
  });

  test('what concerns the stream passes the directory, but not the type and the plane', () => {
    expect([
      admits({ directory: '/else' }, notice),
      admits({ type: 'session.*' }, notice),
      admits({ plane: 'stream' }, notice),
      admits({ type: 'stream.*' }, notice),
    ]).toEqual([true, false, false, true]);
  });

  test('an event without a directory does not match a directory', () => {
    expect(admits({ directory: '*' }, { sequence: 1, ...delta('s', 'p', 'x') })).toBe(false);
  });

  test('answers stay right when more texts come than are remembered', () => {
    const patterns = new PatternSet(['/even/*']);
    for (let round = 0; round < 2; round++) {
      for (let index = 0; index < 3000; index++)
        expect(patterns.matches(`/${index % 2 === 0 ? 'even' : 'odd'}/${index}`)).toBe(index % 2 === 0);
    }
  });
});

test('a subscription that is made within a delivery begins with the next event, wherever it stands', () => {
  const router = new Router(protocol);
  const came: string[] = [];
  const listen = (name: string, filter: EventFilter, then?: () => void) =>
    router.add(
      new ListenerSubscription(filter, ({ sequence }) => {
        came.push(`${name} ${sequence}`);
        if (sequence === 1) then?.();
      }),
    );
  listen('own', { sessionId: 'a' }, () => {
    listen('general later', {});
    listen('own later', { sessionId: ['a', 'a'] });
  });
  router.dispatch([batched(idle('a')), batched(idle('a'))]);
  expect(came).toEqual(['own 1', 'own 2', 'own later 2', 'general later 2']);
});

test('filters with the same types share what was compiled of them', () => {
  const [one, other, more] = [['session.*', 'message.updated'], ['session.*', 'message.updated'], ['session.*']].map(
    (type, index) => compileFilter({ type, sessionId: `s${index}` }).type,
  );
  expect(one).toBe(other);
  expect(one).not.toBe(more);
  for (let index = 0; index < 1000; index++) compileFilter({ type: `${index}` });
  expect(admits({ type: ['session.*', 'message.updated'] })).toBe(true);
});

test('an event that cannot be read is reported once, to whoever wants it, and the others come', () => {
  let malformed = 0;
  const router = new Router(protocol, () => malformed++);
  const came: string[] = [];
  const listen = (filter: EventFilter) =>
    router.add(
      new ListenerSubscription(filter, (got) =>
        came.push(`${got.sequence} ${JSON.stringify('data' in got && ('part' in got.data ? got.data.part.raw : got.data))}`),
      ),
    );
  const broken = { sequence: 0, ...sealed('a', 'x'), properties: '{"sessionID":' };
  listen({ type: 'session.*' });
  router.dispatch([broken]);
  expect(malformed).toBe(0);
  listen({});
  listen({ sessionId: 'a' });
  router.dispatch([broken, { sequence: 0, ...idle('a') }, { sequence: 0, ...sealed('b', 'y') }]);
  expect(malformed).toBe(1);
  expect(came).toEqual(['3 {}', '3 {}', '3 {}', '4 {"id":"prt_1","type":"text","text":"y"}']);
});
