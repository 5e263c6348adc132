import type { StreamTaskRequest, ToStreamTask } from './messages.ts';
import { StreamTask } from './stream-task.ts';

/** Piscina calls this once a connection; the result settles when the connection's task is over. */
export default async function runStreamTask({ input, port }: StreamTaskRequest): Promise<void> {
  const task = new StreamTask(input, (message) => port.postMessage(message));
  port.on('message', (message: ToStreamTask) => {
    switch (message.type) {
      case 'acknowledge':
        return task.acknowledge(message.batches);
      case 'reconnect':
        return task.reconnect(message.reason);
      case 'close':
        return task.close();
    }
  });
  // A main thread that went away without a word leaves a closed port.
  port.on('close', () => task.close());
  await task.run();
  port.close();
}
