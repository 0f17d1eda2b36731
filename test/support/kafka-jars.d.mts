/** Where the jars are, fetched if need be; or why there are none. The checker is among the classes. */
export function findKafka(): { readonly jars: string } | { readonly missing: string };
