import { useCallback, useEffect, useRef, useState, type KeyboardEvent, type PointerEvent, type RefObject } from 'react';

interface Camera {
  readonly x: number;
  readonly y: number;
  /** Pixels a unit of the drawing. */
  readonly scale: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

const limits = { min: 0.08, max: 3 } as const;
const margin = 12;

/** A rectangle of the drawing. */
interface Part extends Size {
  readonly x: number;
  readonly y: number;
}

export interface PanZoom {
  readonly camera: Camera;
  readonly fit: () => void;
  readonly zoom: (factor: number) => void;
  /** Shows a part of the drawing in the middle, large enough to be read. */
  readonly centre: (part: Part) => void;
  readonly handlers: {
    readonly onPointerDown: (event: PointerEvent) => void;
    readonly onPointerMove: (event: PointerEvent) => void;
    readonly onPointerUp: (event: PointerEvent) => void;
    readonly onKeyDown: (event: KeyboardEvent) => void;
  };
}

/** Moves and scales a drawing: drag, two fingers, wheel, and keys (arrows, plus, minus, 0 fits). */
export function usePanZoom(element: RefObject<SVGSVGElement | null>, drawing: Size): PanZoom {
  const [camera, setCamera] = useState<Camera>({ x: margin, y: margin, scale: 0.3 });
  const touched = useRef(false);
  const pointers = useRef(new Map<number, { x: number; y: number }>());

  const fit = useCallback(() => {
    const box = element.current?.getBoundingClientRect();
    if (!box || box.width === 0) return;
    const scale = clamp(Math.min((box.width - 2 * margin) / drawing.width, (box.height - 2 * margin) / drawing.height));
    setCamera({ x: (box.width - drawing.width * scale) / 2, y: (box.height - drawing.height * scale) / 2, scale });
    touched.current = false;
  }, [element, drawing.width, drawing.height]);

  const zoomAt = useCallback((factor: number, x: number, y: number) => {
    touched.current = true;
    setCamera((before) => {
      const scale = clamp(before.scale * factor);
      const by = scale / before.scale;
      return { scale, x: x - (x - before.x) * by, y: y - (y - before.y) * by };
    });
  }, []);

  const zoom = useCallback(
    (factor: number) => {
      const box = element.current?.getBoundingClientRect();
      if (box) zoomAt(factor, box.width / 2, box.height / 2);
    },
    [element, zoomAt],
  );

  const centre = useCallback(
    ({ x, y, width, height }: Part) => {
      const box = element.current?.getBoundingClientRect();
      if (!box) return;
      touched.current = true;
      setCamera({ scale: 1, x: box.width / 2 - (x + width / 2), y: box.height / 2 - (y + height / 2) });
    },
    [element],
  );

  useFitOnResize(element, fit, touched);
  useWheel(element, zoomAt);

  const pan = (x: number, y: number) => {
    touched.current = true;
    setCamera((before) => ({ ...before, x: before.x + x, y: before.y + y }));
  };
  return { camera, fit, zoom, centre, handlers: handlersOf({ pointers: pointers.current, pan, zoom, zoomAt, fit, element }) };
}

interface HandlerParts {
  readonly pointers: Map<number, { x: number; y: number }>;
  readonly pan: (x: number, y: number) => void;
  readonly zoom: (factor: number) => void;
  readonly zoomAt: (factor: number, x: number, y: number) => void;
  readonly fit: () => void;
  readonly element: RefObject<SVGSVGElement | null>;
}

const panStep = 60;
const keySteps: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [panStep, 0],
  ArrowRight: [-panStep, 0],
  ArrowUp: [0, panStep],
  ArrowDown: [0, -panStep],
};

function handlersOf({ pointers, pan, zoom, zoomAt, fit, element }: HandlerParts): PanZoom['handlers'] {
  return {
    onPointerDown: (event) => {
      if ((event.target as Element).closest('[data-node]') === null) event.currentTarget.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    },
    onPointerMove: (event) => {
      const before = pointers.get(event.pointerId);
      if (!before) return;
      const now = { x: event.clientX, y: event.clientY };
      const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
      pointers.set(event.pointerId, now);
      if (!other) return pan(now.x - before.x, now.y - before.y);
      const box = element.current?.getBoundingClientRect();
      const factor = Math.hypot(now.x - other.x, now.y - other.y) / Math.max(1, Math.hypot(before.x - other.x, before.y - other.y));
      if (box) zoomAt(factor, (now.x + other.x) / 2 - box.left, (now.y + other.y) / 2 - box.top);
    },
    onPointerUp: (event) => void pointers.delete(event.pointerId),
    onKeyDown: (event) => {
      const step = keySteps[event.key];
      if (step) pan(...step);
      else if (event.key === '+' || event.key === '=') zoom(1.25);
      else if (event.key === '-') zoom(0.8);
      else if (event.key === '0') fit();
      else return;
      event.preventDefault();
    },
  };
}

/** Fits again while nobody has moved the drawing. */
function useFitOnResize(element: RefObject<SVGSVGElement | null>, fit: () => void, touched: RefObject<boolean>): void {
  useEffect(() => {
    const observer = new ResizeObserver(() => {
      if (!touched.current) fit();
    });
    if (element.current) observer.observe(element.current);
    fit();
    return () => observer.disconnect();
  }, [element, fit, touched]);
}

/** React listens to wheels passively; this one keeps the page from scrolling. */
function useWheel(element: RefObject<SVGSVGElement | null>, zoomAt: HandlerParts['zoomAt']): void {
  useEffect(() => {
    const svg = element.current;
    if (!svg) return undefined;
    const onWheel = (event: WheelEvent) => {
      event.preventDefault();
      const box = svg.getBoundingClientRect();
      zoomAt(Math.exp(-event.deltaY * 0.0015), event.clientX - box.left, event.clientY - box.top);
    };
    svg.addEventListener('wheel', onWheel, { passive: false });
    return () => svg.removeEventListener('wheel', onWheel);
  }, [element, zoomAt]);
}

const clamp = (scale: number): number => Math.min(limits.max, Math.max(limits.min, scale));
