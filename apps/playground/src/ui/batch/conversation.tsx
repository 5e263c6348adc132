import { memo } from 'react';
import type { BatchTask, ConversationLine } from '../../batch/format.ts';
import type { RunRecord } from '../../trace/format.ts';
import { formatDuration } from '../format.ts';
import { useCalmMoment } from '../hooks.ts';

/** The answer of an attempt, and its conversation from the files of the run. */
export const Conversation = memo(function Conversation({ task: { answer, transcript, lines, omitted } }: { readonly task: BatchTask }) {
  return (
    <>
      {answer !== null && answer !== '' && (
        <section aria-labelledby="answer-title">
          <h3 id="answer-title">Answer</h3>
          <p className="said" data-testid="answer">
            {answer}
          </p>
        </section>
      )}
      <section aria-labelledby="conversation-title">
        <h3 id="conversation-title">Conversation</h3>
        {transcript === 'missing' && <p className="muted">This attempt left no transcript.</p>}
        <ol className="conversation" data-testid="conversation">
          {lines.map((line, index) => (
            <li key={index} data-type={line.type} data-role={line.type === 'message' ? line.role : undefined} data-inner={line.inner}>
              <Line line={line} />
            </li>
          ))}
        </ol>
        {omitted > 0 && <p className="muted">{omitted} more lines are in the transcript file of the run.</p>}
      </section>
    </>
  );
});

function Line({ line }: { readonly line: ConversationLine }) {
  if (line.type === 'message') return <Message line={line} />;
  if (line.type === 'tool') return <ToolCall line={line} />;
  return (
    <p>
      Asked for <code>{line.what}</code>: {line.answer}
    </p>
  );
}

function Message({ line }: { readonly line: Extract<ConversationLine, { type: 'message' }> }) {
  const { role, at, text, cut, reasoning, files, error, inner } = line;
  return (
    <>
      <h4>
        {role === 'user' ? 'Prompt' : 'Model'}
        {inner && ' (sub-agent)'} <Time at={at} />
      </h4>
      {files && <p className="muted">with {files.join(', ')}</p>}
      {reasoning !== undefined && (
        <details>
          <summary>Reasoning</summary>
          <p className="said muted">{reasoning}</p>
        </details>
      )}
      {text !== '' && <p className="said">{text}</p>}
      <Cut characters={cut} />
      {error !== undefined && <p className="problem">{error}</p>}
    </>
  );
}

function ToolCall({ line }: { readonly line: Extract<ConversationLine, { type: 'tool' }> }) {
  const { tool, status, durationMs, input, output, cut, exitCode, inner } = line;
  const facts = [status, durationMs === null ? '' : formatDuration(durationMs), exitCode == null ? '' : `exit ${exitCode}`];
  return (
    <details>
      <summary>
        <b>{tool}</b>
        {inner && ' (sub-agent)'} <span className="muted">{facts.filter((fact) => fact !== '').join(' · ')}</span>{' '}
        <code>{input.replaceAll(/\s+/g, ' ').slice(0, 120)}</code>
      </summary>
      <pre>{input}</pre>
      {output !== '' && <pre>{output}</pre>}
      <Cut characters={cut} />
    </details>
  );
}

function Cut({ characters }: { readonly characters: number }) {
  return characters === 0 ? null : <p className="muted">{characters} more characters are in the transcript file of the run.</p>;
}

function Time({ at }: { readonly at: string | null }) {
  return at === null ? null : (
    <time className="muted" dateTime={at}>
      {at.slice(11, 19)}
    </time>
  );
}

/** What the records of a live session hold of its attempt in flight: whole texts, as they come to their end. */
export function LiveConversation({ sessionId }: { readonly sessionId: string }) {
  const { records, end } = useCalmMoment();
  const texts = records.slice(0, end).filter(({ actor, type }) => actor === sessionId && type === 'text');
  return (
    <section aria-labelledby="conversation-title">
      <h3 id="conversation-title">Conversation so far</h3>
      {texts.length === 0 && <p className="muted">Nothing has been said to its end yet.</p>}
      <ol className="conversation" data-testid="conversation">
        {texts.map((record) => (
          <li key={record.seq} data-type="message">
            <p className="said">{textOf(record)}</p>
          </li>
        ))}
      </ol>
    </section>
  );
}

function textOf({ payload }: RunRecord): string {
  return (payload as { readonly text?: string } | undefined)?.text ?? '';
}
