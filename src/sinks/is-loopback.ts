// Pure: is a host this machine? Then a connection to it needs no encryption.

/** Whether a host is this machine: an address of the loopback network, its usual name, or a Unix socket. */
export function isLoopback(host: string): boolean {
  return host.startsWith('/') || host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}
