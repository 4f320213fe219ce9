/**
 * Elements. The only way in which text gets onto the page, and always as text: there is no markup from
 * strings anywhere, so whatever a result file holds is shown and never run.
 */
export type Child = Node | string | number | null | undefined | false | readonly Child[];

type Value = string | number | boolean | null | undefined | ((event: Event) => void);
type Attributes = Readonly<Record<string, Value>>;

const SVG = 'http://www.w3.org/2000/svg';

/** An HTML element. A function is a listener, `--name` a style property, true an empty attribute. */
export function h(tag: string, attributes: Attributes = {}, ...children: Child[]): HTMLElement {
  return fill(document.createElement(tag), attributes, children);
}

/** An SVG element. */
export function svg(tag: string, attributes: Attributes = {}, ...children: Child[]): SVGElement {
  return fill(document.createElementNS(SVG, tag) as SVGElement, attributes, children);
}

function fill<Made extends HTMLElement | SVGElement>(
  element: Made,
  attributes: Attributes,
  children: readonly Child[],
): Made {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name, value);
    else if (name.startsWith('--')) element.style.setProperty(name, String(value));
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, String(value));
    }
  }
  add(element, children);
  return element;
}

/** Appends; null and false are nothing. */
function add(parent: Node, children: readonly Child[]): void {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (typeof child === 'string' || typeof child === 'number') {
      parent.appendChild(document.createTextNode(String(child)));
    } else if (child instanceof Node) parent.appendChild(child);
    else add(parent, child);
  }
}

export function replace(parent: Element, ...children: Child[]): void {
  parent.replaceChildren();
  add(parent, children);
}

/** A panel: what is drawn, and in a sentence how to read it. */
export function panel(
  title: string,
  how: string,
  options: { isWide?: boolean; tools?: Child },
  ...children: Child[]
): HTMLElement {
  return h(
    'article',
    { class: options.isWide === true ? 'panel wide' : 'panel' },
    h('header', {}, h('h3', {}, title), h('span', { class: 'grow' }), options.tools ?? null),
    h('p', { class: 'quiet' }, how),
    ...children,
  );
}

/** Buttons of which one is pressed. */
export function choice(
  label: string,
  names: readonly string[],
  chosen: string,
  choose: (name: string) => void,
): HTMLElement {
  const buttons = names.map((name) =>
    h('button', { type: 'button', click: () => press(name) }, name),
  );
  const press = (name: string): void => {
    show(name);
    choose(name);
  };
  const show = (name: string): void => {
    for (const [i, button] of buttons.entries()) {
      button.setAttribute('aria-pressed', String(names[i] === name));
    }
  };
  show(chosen);
  return h('div', { class: 'choice', role: 'group', 'aria-label': label }, buttons);
}

export interface Column {
  name: string;
  isNumber?: boolean;
  /** Never broken into lines. */
  isLabel?: boolean;
  /** Holds bars. */
  isBar?: boolean;
}

/** A table that scrolls by itself where it is too wide. `bad` rows are those that failed. */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly Child[])[],
  bad: ReadonlySet<number> = new Set(),
): HTMLElement {
  const classOf = ({ isNumber, isBar, isLabel }: Column): string =>
    isBar === true ? 'barcell' : isNumber === true ? 'number' : isLabel === true ? 'label' : 'wrap';
  return h(
    'div',
    { class: 'scroll' },
    h(
      'table',
      { class: 'figures' },
      h(
        'thead',
        {},
        h(
          'tr',
          {},
          columns.map((column) =>
            h('th', { scope: 'col', class: column.isNumber === true ? 'number' : '' }, column.name),
          ),
        ),
      ),
      h(
        'tbody',
        {},
        rows.map((row, i) =>
          h(
            'tr',
            { class: bad.has(i) ? 'bad' : '' },
            row.map((cell, at) => h('td', { class: classOf(columns[at] as Column) }, cell)),
          ),
        ),
      ),
    ),
  );
}

/** A bar of `share` of its cell. */
export function bar(share: number, colour: string, title = ''): HTMLElement {
  const width = `${Math.max(0, Math.min(1, Number.isFinite(share) ? share : 0)) * 100}%`;
  return h('div', { class: 'bar', title }, h('i', { '--w': width, '--fill': colour }));
}

export function tile(value: string, label: string, isBad = false): HTMLElement {
  return h('div', { class: isBad ? 'tile bad' : 'tile' }, h('b', {}, value), h('span', {}, label));
}

/** Calls `draw` with the width of the element now, and again when it changes. */
export function onWidth(element: Element, draw: (width: number) => void): void {
  let last = 0;
  new ResizeObserver(() => {
    const width = Math.floor(element.clientWidth);
    if (width === last || width === 0) return;
    last = width;
    draw(width);
  }).observe(element);
}
