/** The door of bench/: experiments and their command line. */
export { main } from './main.ts';
