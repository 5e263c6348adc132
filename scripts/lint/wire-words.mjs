// A rule of the linter: words of opencode's protocols stand in the folder of their protocol alone (docs/architecture.md, "Protocols").
// A name that opencode and this project use for the same thing (`session.created`) is no such word.

/** Beginnings of routes. */
const route =
  /^\/(?:agent|command|config|event|experimental|file|find|formatter|global|instance|log|lsp|mcp|path|permission|project|provider|question|session|skill|sync|vcs)(?:[/?]|$)|^\/api\/(?:agent|command|debug|event|form|info|location|model|permission|provider|session|shell)(?:[/?]|$)/;

const words = new Set([
  // Types of events.
  'message.part.updated',
  'message.part.removed',
  'message.part.delta',
  'question.rejected',
  'server.instance.disposed',
  'global.disposed',
  'execution.started',
  'execution.succeeded',
  'execution.failed',
  'execution.interrupted',
  'retry.scheduled',
  'inbox.enqueued',
  'inbox.delivered',
  'step.started',
  'step.ended',
  'step.failed',
  'compaction.ended',
  'shell.ended',
  'form.created',
  'form.replied',
  'form.cancelled',
  // Names of errors.
  'APIError',
  'ConfigInvalidError',
  'ConfigJsonError',
  'ContentFilterError',
  'ContextOverflowError',
  'InvalidRequestError',
  'MessageAbortedError',
  'MessageOutputLengthError',
  'NotFoundError',
  'PermissionNotFoundError',
  'ProviderAuthError',
  'ProviderInitError',
  'QuestionNotFoundError',
  'SessionBusyError',
  'SessionNotFoundError',
  'StructuredOutputError',
  'UnknownError',
  // Types of parts.
  'step-start',
  'step-finish',
  'subtask',
]);

/** Fields of records. */
const fields = new Set(['sessionID', 'messageID', 'partID', 'parentID', 'callID', 'requestID', 'providerID', 'modelID', 'projectID']);

/** Words that nobody writes for something else: also a piece of a pattern. */
const particular = [...words].filter((word) => /[.-]/.test(word));

/** A stored event's type carries a version (`message.part.updated.1`); a route may stand behind a host. */
const isWireWord = (text) =>
  words.has(text.replace(/\.\d+$/, '').replace(/^session\.(?=\w+\.)/, '')) ||
  fields.has(text) ||
  route.test(text.replace(/^https?:\/\/[^/]+/, ''));

const wordInPattern = (pattern) => {
  const text = pattern.replaceAll('\\', '');
  return particular.find((word) => text.includes(word));
};

const rule = {
  create(context) {
    const look = (node, text) => {
      if (typeof text !== 'string' || !isWireWord(text)) return;
      context.report({
        node,
        message: `"${text}" is a word of one of opencode's protocols: let the Protocol object of core/src/protocol say it (docs/architecture.md).`,
      });
    };
    return {
      Literal: (node) => look(node, node.regex ? wordInPattern(node.regex.pattern) : node.value),
      // `/session/${id}` and `${url}/session/${id}`: each piece between expressions.
      TemplateLiteral: (node) => node.quasis.forEach(({ value }) => look(node, value.cooked)),
      Identifier: (node) => fields.has(node.name) && look(node, node.name),
    };
  },
};

export default { meta: { name: 'opencode-manager' }, rules: { 'wire-words': rule } };
