import type { WebhookFetch } from "./webhook-client.ts";

/** Calls webhooks over the network. What they redirect to is not asked. */
export const webhookFetch: WebhookFetch = ({ url, body, authority, serverName, signal }) => {
  return fetch(url, {
    method: "POST",
    body,
    signal,
    redirect: "error",
    headers: {
      "content-type": "application/json",
      accept: "application/json",
      ...(serverName === undefined ? {} : { host: serverName }),
    },
    tls: {
      rejectUnauthorized: true,
      ...(authority === undefined ? {} : { ca: authority }),
      ...(serverName === undefined ? {} : { serverName }),
    },
  });
};
