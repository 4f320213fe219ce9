/** Light or dark: what the system says, or what the reader chose; plots are told to draw anew. */
import { h } from './dom.ts';

const CHOICES = ['auto', 'light', 'dark'] as const;
type Choice = (typeof CHOICES)[number];
const KEY = 'ackbench-theme';

const redraws = new Map<Element, () => void>();
const system = matchMedia('(prefers-color-scheme: dark)');

/** Calls `redraw` whenever colours change, as long as the element is on the page. */
export function onTheme(element: Element, redraw: () => void): void {
  redraws.set(element, redraw);
}

/** The value of a colour variable, for a canvas. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function show(theme: Choice): void {
  const root = document.documentElement;
  if (theme === 'auto') delete root.dataset['theme'];
  else root.dataset['theme'] = theme;
  for (const [element, redraw] of redraws) {
    if (element.isConnected) redraw();
    else redraws.delete(element);
  }
}

function remembered(): Choice {
  try {
    return CHOICES.find((choice) => choice === localStorage.getItem(KEY)) ?? 'auto';
  } catch {
    return 'auto'; // a file that may not keep anything
  }
}

/** The button. Paper is light, whatever the screen is. */
export function themeButton(): HTMLElement {
  let theme = remembered();
  const button = h('button', {
    type: 'button',
    title: 'Light, dark, or as the system says',
    click: () => {
      theme = CHOICES[(CHOICES.indexOf(theme) + 1) % CHOICES.length] as Choice;
      try {
        localStorage.setItem(KEY, theme);
      } catch {
        // Then the choice lasts as long as the page.
      }
      label();
      show(theme);
    },
  });
  const label = (): void => {
    button.textContent = `Theme: ${theme}`;
  };
  label();
  if (theme !== 'auto') show(theme);
  system.addEventListener('change', () => show(theme));
  addEventListener('beforeprint', () => {
    for (const details of document.querySelectorAll('details')) details.open = true;
    show('light');
  });
  addEventListener('afterprint', () => show(theme));
  return button;
}
