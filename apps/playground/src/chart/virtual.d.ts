declare module 'virtual:chart-layouts' {
  import type { ChartLayout } from './layout.ts';

  const layouts: Readonly<Record<string, ChartLayout>>;
  export default layouts;
}
