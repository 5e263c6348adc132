import { useState, type FormEvent } from 'react';
import type { ActorView } from '../run/view.ts';
import type { Question } from '../trace/format.ts';
import { useController, usePage } from './hooks.ts';

interface OpenAsk {
  readonly id: string;
  readonly kind: 'permission' | 'question';
  readonly permission?: string;
  readonly patterns?: readonly string[];
}

/** Asks of a session that wait for an answer. `always` is never offered: it would count for every session. */
export function Asks({ actor }: { readonly actor: ActorView }) {
  const context = actor.context as { turn?: { openAsks?: readonly OpenAsk[] } | null } | undefined;
  const asks = context?.turn?.openAsks ?? [];
  return asks.map((ask) =>
    ask.kind === 'permission' ? (
      <Permission key={ask.id} actor={actor} ask={ask} />
    ) : (
      <QuestionForm key={ask.id} actor={actor} id={ask.id} questions={actor.questions[ask.id] ?? []} />
    ),
  );
}

function Permission({ actor, ask: { id, permission, patterns = [] } }: { readonly actor: ActorView; readonly ask: OpenAsk }) {
  const controller = useController();
  const { info } = usePage();
  const answer = (allow: boolean) => void controller.send(actor.id, 'ask.closed', { id, allow });
  return (
    <div className="ask" role="group" aria-label="A permission waits for an answer">
      <p>
        Permission <b>{permission ?? ''}</b>{' '}
        {patterns.map((pattern) => (
          <code key={pattern}>{pattern}</code>
        ))}
      </p>
      {info.control && (
        <div className="actions">
          <button type="button" className="primary" onClick={() => answer(true)} data-testid="allow">
            Allow once
          </button>
          <button type="button" onClick={() => answer(false)} data-testid="deny">
            Deny
          </button>
        </div>
      )}
    </div>
  );
}

interface QuestionFormProps {
  readonly actor: ActorView;
  readonly id: string;
  /** Empty until they are known, or when the page may not see them. */
  readonly questions: readonly Question[];
}

function QuestionForm({ actor, id, questions }: QuestionFormProps) {
  const controller = useController();
  const { info } = usePage();
  const onSubmit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const answers = questions.map((_, index) => answersOf(form, index));
    void controller.send(actor.id, 'ask.closed', { id, answers });
  };
  return (
    <form className="ask" aria-label="A question waits for an answer" onSubmit={onSubmit} data-testid="question">
      {questions.length === 0 && <p>A question waits for an answer.</p>}
      {questions.map((question, index) => (
        <QuestionFields key={index} name={String(index)} question={question} disabled={!info.control} />
      ))}
      {info.control && (
        <div className="actions">
          <button type="submit" className="primary" disabled={questions.length === 0} data-testid="answer">
            Answer
          </button>
          <button type="button" onClick={() => void controller.send(actor.id, 'ask.closed', { id, allow: false })} data-testid="dismiss">
            Dismiss
          </button>
        </div>
      )}
    </form>
  );
}

/** Labels that were chosen, and the words that were written instead or besides. */
function answersOf(form: FormData, index: number): string[] {
  const texts = [...form.getAll(String(index)), form.get(`${index} text`)];
  return texts.flatMap((text) => (typeof text === 'string' && text.trim() !== '' ? [text.trim()] : []));
}

interface QuestionFieldsProps {
  readonly name: string;
  readonly question: Question;
  readonly disabled: boolean;
}

function QuestionFields({ name, question: { header, question, options, multiple }, disabled }: QuestionFieldsProps) {
  const [written, setWritten] = useState('');
  return (
    <fieldset disabled={disabled}>
      <legend>
        {header !== '' && <b>{header}: </b>}
        {question}
      </legend>
      {options.map(({ label, description }) => (
        <label key={label} className="option">
          <input type={multiple ? 'checkbox' : 'radio'} name={name} value={label} disabled={!multiple && written !== ''} />
          <span>
            <b>{label}</b> <span className="muted">{description}</span>
          </span>
        </label>
      ))}
      <input
        type="text"
        name={`${name} text`}
        placeholder="or in your own words"
        aria-label={`Answer to: ${question}`}
        value={written}
        onChange={(event) => setWritten(event.target.value)}
      />
    </fieldset>
  );
}
