// oxlint-disable-next-line import/no-unassigned-import -- it has to come first
import './app/browser-gaps.ts';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { Controller } from './app/controller.ts';
import { App } from './ui/app.tsx';
import { ControllerContext } from './ui/hooks.ts';

const controller = new Controller();
createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <ControllerContext value={controller}>
      <App />
    </ControllerContext>
  </StrictMode>,
);
void controller.open();
