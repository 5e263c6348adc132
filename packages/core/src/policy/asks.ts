import type { PermissionRequest, QuestionRequest } from '../protocol/types.ts';
import type { Ask } from './types.ts';

/** A permission request as a policy sees it. */
export function askOfPermission(request: PermissionRequest, directory: string): Ask & { readonly directory: string } {
  const { id, sessionID, permission, patterns, metadata, always, tool } = request;
  return {
    kind: 'permission',
    id,
    sessionId: sessionID,
    directory,
    permission,
    patterns,
    metadata,
    always,
    ...(tool && { tool: { messageId: tool.messageID, callId: tool.callID } }),
  };
}

/** A question request as a policy sees it. */
export function askOfQuestion(
  { id, sessionID, questions, tool }: QuestionRequest,
  directory: string,
): Ask & { readonly directory: string } {
  return {
    kind: 'question',
    id,
    sessionId: sessionID,
    directory,
    questions: questions.map(({ options, ...question }) => ({
      ...question,
      options: options.map(({ label }) => label),
      choices: options.map(({ label, description }) => ({ label, description })),
    })),
    ...(tool && { tool: { messageId: tool.messageID, callId: tool.callID } }),
  };
}
