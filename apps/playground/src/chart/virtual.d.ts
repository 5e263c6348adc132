declare module 'virtual:chart-layouts' {
  const layouts: Readonly<Record<string, import('./layout.ts').ChartLayout>>;
  export default layouts;
}
