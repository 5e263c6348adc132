export { carriedPackages, cataloguedPackages } from './carried.ts';
export { neededPackages, type NeededPackage } from './needed.ts';
export { describeNeed, isInstalledByOpencode, letInstall, refuseOffline, wasInstalled } from './npm-settings.ts';
export { seedPluginPackage } from './seed.ts';
