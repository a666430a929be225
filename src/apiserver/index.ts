export { dnsServiceIp } from "./bootstrap-objects.ts";
export type { NodeConnector } from "./api-request.ts";
export { createApiServer } from "./api-server.ts";
export type { ApiServerOptions, VersionInfo } from "./api-server.ts";
export type { AuditSink } from "./audit/audit-event.ts";
export { firstAuthenticator, tokenAuthenticator } from "./authenticator.ts";
export { certificateAuthenticator } from "./certificate-authenticator.ts";
export type { ClientCertificate } from "./certificate-authenticator.ts";
export type { Authenticator } from "./authenticator.ts";
export type { Attributes, Authorizer, Decision } from "./authorizer.ts";
export { bootstrap } from "./bootstrap.ts";
export type { BootstrapOptions } from "./bootstrap.ts";
export type { ServerEndpoint } from "./bootstrap-objects.ts";
export type { ConnectionUpgrader } from "./subresources/streams/connection-upgrade.ts";
export type { ProxyDestination, ProxyTransport } from "./subresources/proxy.ts";
export { createForwarding } from "./forwarding.ts";
export type { Forwarding, ForwardingOptions, PeerIdentity } from "./forwarding.ts";
export { JoinLimiter } from "./joining/join-limiter.ts";
export type { BucketLimit, JoinLimiterOptions } from "./joining/join-limiter.ts";
export {
  deleteEndedTokens,
  findJoinToken,
  isExpired,
  newJoinToken,
  ROLE_LABEL,
  secretOfToken,
  TOKEN_NAMESPACE,
  tokenOfSecret,
  tokenSecretName,
} from "./joining/join-tokens.ts";
export type { JoinRole, JoinToken } from "./joining/join-tokens.ts";
export {
  CREDENTIAL_NAMESPACE,
  credentialSecret,
  credentialSecretName,
  nodeAuthenticator,
  nodeToken,
} from "./joining/node-credentials.ts";
export type { Reading } from "./server-metrics.ts";
export { ADMINISTRATORS, NODES, nodeUserName } from "./user.ts";
export type { User } from "./user.ts";
export { bootstrapTokenAuthenticator } from "./tokens/bootstrap-tokens.ts";
export { ServiceAccountTokens } from "./tokens/service-account-tokens.ts";
export { createTokenKeys } from "./tokens/token-keys.ts";
