import type { ProtocolStream } from '../protocol.ts';
import { decodeHistoryEntry, sealEvent, typeOf, type WireHistoryEntry } from './decode.ts';
import { FrameReader, openData } from './frame.ts';
import { requests } from './requests.ts';

/** The event stream of opencode 1.x: stored events have a number for each session, by which they are asked for again after a gap. */
export const streamV1: ProtocolStream = {
  request: requests.eventStream,
  createReader: () => new FrameReader(),
  typeOf,
  open: openData,
  storedTypes: [
    'session.created',
    'session.updated',
    'session.deleted',
    'message.updated',
    'message.removed',
    'part.updated',
    'part.removed',
  ],
  replay: {
    request: requests.history,
    decode: (entry) => decodeHistoryEntry(entry as WireHistoryEntry),
    seal: sealEvent,
  },
  // opencode announces the session as idle, whether it exists or not.
  probe: (sessionId, directory) => requests.abort(sessionId, directory),
};
