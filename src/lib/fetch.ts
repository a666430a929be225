/** The shape in which the two towers meet: a network connection, or a Hono app in this process. */
export type Fetch = (request: Request) => Promise<Response>;
