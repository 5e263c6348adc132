export { gitConfigText, readGitValues, trustedDirectories, type GitValue, type GitValues } from './git-values.ts';
export { templateShellText, toolShellText, zshProfileText } from './shell-files.ts';
export { toolEnvironment, userGitFiles, withToolEnvironment, type ToolEnvironment } from './tool-environment.ts';
export { userPlaces } from './user-places.ts';
